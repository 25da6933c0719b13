#include "shard/shard.h"

#include <atomic>
#include <filesystem>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/compute_pool.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "grpcpp/channel.h"
#include "http/debug_route.h"
#include "http/listen_address.h"
#include "http/metrics_route.h"
#include "http/server.h"
#include "kernels/contract.h"
#include "model/fingerprint.h"
#include "model/identity.h"
#include "monitoring/process_metrics.h"
#include "monitoring/registry.h"
#include "placement/view/node_share_proto.h"
#include "rpc/channel_factory.h"
#include "rpc/process_setup.h"
#include "rpc/server_factory.h"
#include "shard/calibration.h"
#include "shard/registration_client.h"
#include "shard/shard_metrics.h"
#include "shard/shard_service.h"

namespace moesaic::shard {
namespace {

constexpr char kServiceName[] = "moesaic.v1.ExpertShard";

absl::StatusOr<rpc::WireDtype> ToWireDtype(base::DType dtype) {
  switch (dtype) {
    case base::DType::kF32:
      return rpc::WireDtype::kF32;
    case base::DType::kBF16:
      return rpc::WireDtype::kBF16;
    case base::DType::kF8E4M3:
      return rpc::WireDtype::kFp8E4M3;
    default:
      return absl::InvalidArgumentError("wire dtype is none of f32, bf16 and fp8");
  }
}

/// Every start differs, also of two processes started in the same instant.
std::uint64_t NewIncarnation() {
  std::random_device device;
  const std::uint64_t value = (std::uint64_t{device()} << 32) | device();
  return value == 0 ? 1 : value;
}

absl::Status CheckOptions(const ShardOptions& options) {
  if (options.name.empty()) return absl::InvalidArgumentError("the shard has no name");
  if (options.memory_bytes == 0) return absl::InvalidArgumentError("memory_bytes is 0");
  if (options.threads < 1) return absl::InvalidArgumentError("threads is below 1");
  if (options.max_batch_rows < 1) return absl::InvalidArgumentError("max_batch_rows is 0");
  if (options.queue_bytes_per_router < 2 * rpc::kMaxMessageBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "queue_bytes_per_router is below ", 2 * rpc::kMaxMessageBytes, ", a message per lane"));
  }
  return absl::OkStatus();
}

absl::StatusOr<placement::ModelIdentity> Identify(const ShardOptions& options,
                                                  const model::Checkpoint& checkpoint) {
  MOESAIC_ASSIGN_OR_RETURN(std::string fingerprint, model::Fingerprint(checkpoint));
  const std::string directory =
      std::filesystem::path(checkpoint.directory()).lexically_normal().filename().string();
  return placement::ModelIdentity{
      .model_id = options.model_id.empty() ? directory : options.model_id,
      .model_fingerprint = std::move(fingerprint),
      .numerics_id = model::NumericsId({.kernel_contract_version = kernels::kKernelContractVersion,
                                        .device_class = "cpu",
                                        .weight_format = checkpoint.WeightFormat(),
                                        .compute_dtype = options.compute_dtype,
                                        .wire_dtype = options.wire_dtype,
                                        .weight_dtype = options.weight_dtype,
                                        .unit_size = static_cast<int>(options.unit_size)}),
      .hidden_size = static_cast<std::uint32_t>(checkpoint.config().hidden_size),
      .unit_size = options.unit_size};
}

std::string StatePath(const ShardOptions& options) {
  if (options.state_dir.empty()) return "";
  return (std::filesystem::path(options.state_dir) / (options.name + ".assignment.json")).string();
}

}  // namespace

/// Parts in the order they depend on each other; destroyed in reverse.
class Shard::Impl {
 public:
  Impl(ShardOptions options, rpc::WireDtype wire_dtype,
       std::unique_ptr<model::Checkpoint> checkpoint, placement::ModelIdentity identity,
       std::unique_ptr<base::ComputePool> pool, std::unique_ptr<ExpertStore> store,
       const base::Clock& clock);
  ~Impl() { Shutdown(absl::ZeroDuration()); }

  absl::Status Start();
  void Shutdown(absl::Duration deadline);
  const std::string& address() const { return server_->address(); }
  const std::string& http_address() const { return http_address_; }
  std::uint64_t expert_rows_total() const { return engine_.expert_rows_total(); }

 private:
  v1::ShardRegistration Registration() const;
  v1::ShardReport Report(bool with_units) const;
  absl::Status StartHttp();
  absl::Status StartRegistration();
  /// Health and the coordinator follow what the shard holds.
  void OnChange();

  const ShardOptions options_;
  const std::uint64_t incarnation_ = NewIncarnation();
  const base::Clock& clock_;
  monitoring::Registry metrics_;
  monitoring::ProcessMetrics process_metrics_;
  const std::unique_ptr<model::Checkpoint> checkpoint_;
  const placement::ModelIdentity identity_;
  const std::unique_ptr<base::ComputePool> pool_;
  const std::unique_ptr<ExpertStore> store_;
  rpc::BufferPool buffers_;
  FfnExecutor executor_;
  ShardMetrics shard_metrics_;
  DispatchEngine engine_;
  UnitKeeper keeper_;
  ShardService service_;
  rpc::DispatchServer dispatch_;
  std::unique_ptr<rpc::ServerHandle> server_;
  std::unique_ptr<http::Server> http_;
  std::string http_address_;
  std::unique_ptr<RegistrationClient> registration_;
  std::thread restore_;
  /// What the coordinator said last; only repeated to the next one.
  std::atomic<bool> evacuating_{false};

  base::Mutex change_mutex_;  // orders what OnChange says, so that the last word is the newest
  bool started_ ABSL_GUARDED_BY(change_mutex_) = false;
  bool shut_down_ = false;
};

Shard::Impl::Impl(ShardOptions options, rpc::WireDtype wire_dtype,
                  std::unique_ptr<model::Checkpoint> checkpoint, placement::ModelIdentity identity,
                  std::unique_ptr<base::ComputePool> pool, std::unique_ptr<ExpertStore> store,
                  const base::Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      checkpoint_(std::move(checkpoint)),
      identity_(std::move(identity)),
      pool_(std::move(pool)),
      store_(std::move(store)),
      executor_({.topology = store_->topology(),
                 .hidden_size = checkpoint_->config().hidden_size,
                 .intermediate_size = checkpoint_->config().moe.expert_intermediate_size,
                 .compute_dtype = options_.compute_dtype},
                *pool_, buffers_, clock_),
      shard_metrics_(metrics_, store_->topology()),
      engine_({.hidden_size = identity_.hidden_size,
               .wire_dtype = wire_dtype,
               .batching = {.max_batch_rows = options_.max_batch_rows,
                            .queue_bytes_per_router = options_.queue_bytes_per_router}},
              *store_, executor_, shard_metrics_, clock_),
      keeper_({.model = identity_, .state_path = StatePath(options_)}, *store_, clock_,
              [this] { OnChange(); }),
      service_({.name = options_.name,
                .build = options_.build,
                .incarnation = incarnation_,
                .model = identity_},
               *store_, keeper_, engine_, [this] { OnChange(); }),
      dispatch_({.hello = {.sender = options_.name,
                           .build = options_.build,
                           .incarnation = incarnation_,
                           .model = identity_,
                           .wire_dtypes = {wire_dtype},
                           // A router has a stream per lane, and both share its queue.
                           .credit_bytes = options_.queue_bytes_per_router / 2},
                 .spin = rpc::SpinBeside(options_.threads)},
                service_, engine_, buffers_) {
  engine_.SetReplySink([this](rpc::StreamId stream, const rpc::DispatchReply& reply) {
    dispatch_.Reply(stream, reply);
  });
}

absl::Status Shard::Impl::Start() {
  const absl::Status measured = Calibrate(
      {.budget = options_.calibration, .compute_dtype = options_.compute_dtype},
      checkpoint_->config().hidden_size, *store_, executor_, clock_, engine_.speed_meter());
  if (!measured.ok()) base::LogWarning("speed not measured: ", measured.ToString());
  rpc::ServerOptions server;
  server.address = options_.listen_address;
  server.allow_insecure = options_.insecure;
  server.enable_reflection = options_.reflection;
  server.dispatch = &dispatch_;  // registers service_ too
  MOESAIC_ASSIGN_OR_RETURN(server_, rpc::StartServer(std::move(server)));
  MOESAIC_RETURN_IF_ERROR(StartHttp());
  if (!options_.coordinator_address.empty()) MOESAIC_RETURN_IF_ERROR(StartRegistration());
  {
    base::MutexLock lock(change_mutex_);
    started_ = true;
  }
  restore_ = std::thread([this] { keeper_.Restore(); });
  return absl::OkStatus();
}

absl::Status Shard::Impl::StartHttp() {
  if (options_.http_address.empty()) return absl::OkStatus();
  MOESAIC_ASSIGN_OR_RETURN(const http::ListenAddress listen,
                           http::ParseListenAddress(options_.http_address));
  http::ServerOptions server;
  server.address = listen.host;
  server.port = listen.port;
  server.allow_insecure = options_.insecure;
  server.io_threads = 1;
  ExportShardState(metrics_, *store_, engine_, options_.memory_bytes);
  process_metrics_.Export(metrics_, options_.build, "shard", identity_.numerics_id);
  http::RouteTable routes;
  http::AddMetricsRoute(routes, metrics_);
  http::AddLogLevelRoute({.remote = options_.insecure}, routes);
  MOESAIC_ASSIGN_OR_RETURN(http_, http::Server::Start(std::move(server), std::move(routes)));
  http_address_ = absl::StrCat(listen.host, ":", http_->port());
  return absl::OkStatus();
}

absl::Status Shard::Impl::StartRegistration() {
  MOESAIC_ASSIGN_OR_RETURN(auto channel, rpc::MakeChannel(options_.coordinator_address, {}));
  registration_ = std::make_unique<RegistrationClient>(
      RegistrationClient::Options{.registration = Registration()}, std::move(channel),
      [this](bool with_units) { return Report(with_units); },
      [this](const v1::ShardDirective& directive) -> absl::Status {
        MOESAIC_RETURN_IF_ERROR(keeper_.NoteEpoch(placement::EpochFromProto(directive.epoch())));
        evacuating_ = directive.evacuate();
        return absl::OkStatus();
      });
  return absl::OkStatus();
}

v1::ShardRegistration Shard::Impl::Registration() const {
  v1::ShardRegistration registration;
  registration.set_shard(options_.name);
  registration.set_address(options_.advertised_address.empty() ? server_->address()
                                                               : options_.advertised_address);
  registration.set_incarnation(incarnation_);
  *registration.mutable_model() = placement::IdentityToProto(identity_);
  *registration.mutable_topology() = placement::TopologyToProto(store_->topology());
  registration.set_memory_bytes(options_.memory_bytes);
  registration.set_node(options_.node);
  registration.set_zone(options_.zone);
  placement::NodeShareToProto(options_.node_share, registration);
  registration.set_http_address(http::DialableAddress(http_address_, registration.address()));
  registration.set_device_kind("cpu");
  const SpeedMeter::Speed speed = engine_.speed_meter().speed();
  registration.set_us_per_row(speed.us_per_row);
  registration.set_us_per_expert(speed.us_per_expert);
  registration.set_build(options_.build);
  return registration;
}

v1::ShardReport Shard::Impl::Report(bool with_units) const {
  v1::ShardReport report;
  *report.mutable_epoch() = placement::EpochToProto(keeper_.epoch());
  if (with_units) {
    placement::UnitsToProto(store_->Held(), *report.mutable_held_units());
    report.set_held_units_valid(true);
  }
  report.set_held_bytes(store_->held_bytes());
  report.set_draining(engine_.draining());
  report.set_evacuating(evacuating_);
  report.set_expert_rows_total(engine_.expert_rows_total());
  report.set_busy_seconds_total(shard_metrics_.busy_seconds());
  const SpeedMeter::Speed speed = engine_.speed_meter().speed();
  report.set_us_per_row(speed.us_per_row);
  report.set_us_per_expert(speed.us_per_expert);
  return report;
}

void Shard::Impl::OnChange() {
  base::MutexLock lock(change_mutex_);
  if (!started_) return;
  if (keeper_.ready() && store_->held_bytes() > 0) process_metrics_.Loaded();
  server_->SetServing(keeper_.ready() && !engine_.draining(), kServiceName);
  if (registration_ != nullptr) registration_->ReportChange();
}

void Shard::Impl::Shutdown(absl::Duration deadline) {
  if (std::exchange(shut_down_, true) || server_ == nullptr) return;
  engine_.StartDraining();
  process_metrics_.StartDrain();
  OnChange();
  if (const std::uint32_t left = engine_.AwaitDrained(deadline); left > 0) {
    base::LogWarning("shard ", options_.name, ": ", left, " dispatches were not finished");
  }
  store_->Stop();
  if (restore_.joinable()) restore_.join();
  if (registration_ != nullptr) registration_->Stop();
  server_->Shutdown(absl::ZeroDuration());
  if (http_ != nullptr) http_->Shutdown(absl::ZeroDuration());
  engine_.Stop();
}

absl::StatusOr<std::unique_ptr<Shard>> Shard::Build(ShardOptions options,
                                                    const base::Clock& clock) {
  MOESAIC_RETURN_IF_ERROR(CheckOptions(options));
  MOESAIC_ASSIGN_OR_RETURN(const rpc::WireDtype wire_dtype, ToWireDtype(options.wire_dtype));
  MOESAIC_ASSIGN_OR_RETURN(auto checkpoint, model::Checkpoint::Open(options.model_dir));
  MOESAIC_ASSIGN_OR_RETURN(placement::ModelIdentity identity, Identify(options, *checkpoint));
  if (!options.state_dir.empty()) {
    MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(options.state_dir));
  }
  auto pool = std::make_unique<base::ComputePool>(options.threads);
  MOESAIC_ASSIGN_OR_RETURN(auto store,
                           ExpertStore::Create(*checkpoint,
                                               {.unit_size = options.unit_size,
                                                .memory_bytes = options.memory_bytes,
                                                .compute_dtype = options.compute_dtype,
                                                .weight_dtype = options.weight_dtype,
                                                .cache_dir = options.packed_cache_dir,
                                                .cache_bytes = options.packed_cache_bytes,
                                                .fingerprint = identity.model_fingerprint},
                                               *pool, clock));
  auto impl = std::make_unique<Impl>(std::move(options), wire_dtype, std::move(checkpoint),
                                     std::move(identity), std::move(pool), std::move(store), clock);
  MOESAIC_RETURN_IF_ERROR(impl->Start());
  return std::unique_ptr<Shard>(new Shard(std::move(impl)));
}

Shard::Shard(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Shard::~Shard() = default;
const std::string& Shard::address() const { return impl_->address(); }
const std::string& Shard::http_address() const { return impl_->http_address(); }
std::uint64_t Shard::expert_rows_total() const { return impl_->expert_rows_total(); }
void Shard::Shutdown(absl::Duration deadline) { impl_->Shutdown(deadline); }

}  // namespace moesaic::shard
