#include "router/router.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/compute_pool.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "http/listen_address.h"
#include "kernels/contract.h"
#include "model/chat_template.h"
#include "model/checkpoint.h"
#include "model/fingerprint.h"
#include "model/identity.h"
#include "model/tokenizer.h"
#include "monitoring/cost/price_list.h"
#include "monitoring/process_metrics.h"
#include "monitoring/registry.h"
#include "placement/view/placement_holder.h"
#include "placement/view/placement_watcher.h"
#include "router/api/api_server.h"
#include "router/dispatch/expert_dispatcher.h"
#include "router/router_core.h"
#include "router/router_metrics.h"
#include "router/scheduler/capacity_model.h"
#include "rpc/channel_factory.h"
#include "rpc/process_setup.h"
#include "rpc/server_factory.h"

namespace moesaic::router {
namespace {

rpc::WireDtype ToWire(base::DType dtype) {
  switch (dtype) {
    case base::DType::kF32:
      return rpc::WireDtype::kF32;
    case base::DType::kF8E4M3:
      return rpc::WireDtype::kFp8E4M3;
    default:
      return rpc::WireDtype::kBF16;
  }
}

/// How often a draining router looks whether its generations have ended.
constexpr absl::Duration kDrainPoll = absl::Milliseconds(20);

}  // namespace

/// The parts of a router, in the order in which they are built. Each refers only to parts above it,
/// so they are taken down from the bottom.
class Router::Impl {
 public:
  Impl(RouterOptions options, const base::Clock& clock)
      : options_(std::move(options)), clock_(clock), pool_(std::max(1, options_.threads)) {}
  ~Impl() { Shutdown(absl::ZeroDuration()); }

  absl::Status Build() {
    MOESAIC_RETURN_IF_ERROR(OpenModel());
    MOESAIC_RETURN_IF_ERROR(CreateDispatcher());
    MOESAIC_RETURN_IF_ERROR(BuildCore());
    MOESAIC_RETURN_IF_ERROR(Serve());
    return FollowPlacement();
  }

  void Shutdown(absl::Duration grace) {
    if (stopped_) return;
    stopped_ = true;
    const absl::Duration until = clock_.Monotonic() + grace;
    process_metrics_.StartDrain();
    if (core_ != nullptr) core_->scheduler().StartDrain();
    if (grpc_server_ != nullptr) grpc_server_->SetServing(false);
    if (api_ != nullptr) {
      api_->StartDrain();
      AwaitIdle(until);
      api_->Shutdown(std::max(absl::ZeroDuration(), until - clock_.Monotonic()));
    }
    if (grpc_server_ != nullptr) {
      grpc_server_->Shutdown(std::max(absl::ZeroDuration(), until - clock_.Monotonic()));
    }
    watcher_.reset();
    if (core_ != nullptr) core_->Stop();
    dispatcher_.reset();  // ends the expert calls that the engine still waits for
    core_.reset();
    if (ledger_ != nullptr) {
      ledger_->Stop(std::max(absl::ZeroDuration(), until - clock_.Monotonic()));
    }
  }

  const std::string& http_address() const { return http_address_; }
  const std::string& grpc_address() const { return grpc_server_->address(); }

 private:
  /// Waits until every generation in progress has ended, at most until then. The ports stay open
  /// meanwhile: whoever comes is told to go elsewhere.
  void AwaitIdle(absl::Duration until) {
    if (core_ == nullptr) return;
    while (!core_->scheduler().Idle() && clock_.Monotonic() < until) absl::SleepFor(kDrainPoll);
  }

  /// Of a second of a process; nullopt = unknown.
  std::optional<double> PriceOf(const monitoring::NodeShare& node) {
    return prices_ == nullptr ? std::nullopt : prices_->Get()->PerSecond(node);
  }

  placement::LoadReport TakeLoad();
  /// What would limit the router at that capacity, for people.
  std::string Bottleneck(const Capacity& capacity, const placement::LoadReport& report) const;
  absl::Status OpenModel();
  absl::Status CreateDispatcher();
  absl::Status BuildCore();
  absl::Status Serve();
  /// Last: the coordinator is told where the API is. Nothing is ready before there is a placement.
  absl::Status FollowPlacement();

  const RouterOptions options_;
  const base::Clock& clock_;
  base::ComputePool pool_;
  monitoring::Registry metrics_;
  monitoring::ProcessMetrics process_metrics_{clock_};
  SchedulerMetrics scheduler_metrics_{metrics_};
  std::unique_ptr<monitoring::PriceListFile> prices_;  // null: none is known
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::unique_ptr<model::Tokenizer> tokenizer_;
  std::unique_ptr<model::ChatTemplate> chat_template_;
  rpc::ModelIdentity identity_;
  std::unique_ptr<ExpertDispatcher> dispatcher_;
  placement::PlacementHolder placement_;
  std::unique_ptr<placement::PlacementWatcher> watcher_;
  std::unique_ptr<CapacityModel> capacity_;
  std::unique_ptr<RouterCore> core_;
  std::unique_ptr<monitoring::Ledger> ledger_;  // null: nobody keeps what requests used
  std::unique_ptr<ApiServer> api_;
  std::unique_ptr<rpc::ServerHandle> grpc_server_;
  std::string http_address_;
  // As of the last load report; of the watcher's thread.
  Scheduler::Stats reported_;
  DispatchStats reported_dispatches_;
  bool stopped_ = false;
};

absl::Status Router::Impl::OpenModel() {
  if (!options_.price_list.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(prices_, monitoring::PriceListFile::Open(options_.price_list, clock_));
  }
  MOESAIC_ASSIGN_OR_RETURN(checkpoint_, model::Checkpoint::Open(options_.model_dir));
  MOESAIC_ASSIGN_OR_RETURN(tokenizer_, model::Tokenizer::Load(options_.model_dir));
  if (const std::string* source = tokenizer_->config().FindChatTemplate()) {
    MOESAIC_ASSIGN_OR_RETURN(model::ChatTemplate compiled, model::ChatTemplate::Compile(*source));
    chat_template_ = std::make_unique<model::ChatTemplate>(std::move(compiled));
  }
  identity_.model_id = options_.model_id;
  MOESAIC_ASSIGN_OR_RETURN(identity_.model_fingerprint, model::Fingerprint(*checkpoint_));
  identity_.numerics_id = model::NumericsId(
      {kernels::kKernelContractVersion, "cpu", checkpoint_->WeightFormat(), options_.compute_dtype,
       options_.wire_dtype, options_.weight_dtype, static_cast<int>(options_.unit_size)});
  identity_.hidden_size = static_cast<std::uint32_t>(checkpoint_->config().hidden_size);
  identity_.unit_size = options_.unit_size;
  base::LogInfo("model ", identity_.model_id, ", fingerprint ", identity_.model_fingerprint,
                ", numerics ", identity_.numerics_id);
  return absl::OkStatus();
}

absl::Status Router::Impl::CreateDispatcher() {
  ExpertDispatcher::Options options;
  options.spin = rpc::SpinBeside(options_.threads);
  options.hello.sender = options_.name;
  options.hello.build = options_.build;
  options.hello.incarnation = std::random_device()();
  options.hello.model = identity_;
  options.hello.wire_dtypes = {rpc::WireDtype::kF32, rpc::WireDtype::kBF16};
  options.wire_dtype = ToWire(options_.wire_dtype);
  options.skip_lost_after = options_.degraded_after;
  options.clock = &clock_;
  options.metrics = &metrics_;
  options.price_per_second = [this](const monitoring::NodeShare& node) { return PriceOf(node); };
  MOESAIC_ASSIGN_OR_RETURN(dispatcher_, ExpertDispatcher::Create(std::move(options)));
  placement_.AddListener([this](std::shared_ptr<const placement::PlacementMap> map) {
    dispatcher_->SetPlacement(std::move(map));
  });
  return absl::OkStatus();
}

absl::Status Router::Impl::BuildCore() {
  RouterCoreOptions options;
  options.compute_dtype = options_.compute_dtype;
  options.weight_dtype = options_.weight_dtype;
  options.kv_cache_bytes = options_.kv_cache_bytes;
  options.kv_block_tokens = options_.kv_block_tokens;
  options.max_model_len = options_.max_model_len;
  options.max_num_seqs = options_.max_num_seqs;
  options.max_step_tokens = options_.max_step_tokens;
  options.max_queue = options_.max_queue;
  options.micro_batches = options_.micro_batches;
  options.max_step_time = options_.max_step_time;
  options.metrics = &scheduler_metrics_;
  options.price_per_second = [this] { return PriceOf(options_.node_share); };
  options.on_step = [this](const StepSample& step) {
    // The first step comes of a request, and those come when all is built.
    if (capacity_ != nullptr) capacity_->OnStep(step, clock_.Monotonic());
  };
  MOESAIC_ASSIGN_OR_RETURN(core_, RouterCore::Create(
                                      *checkpoint_, std::move(options), pool_, *dispatcher_,
                                      [](int loaded, int layers) {
                                        base::LogInfo("dense weights of ", loaded, " of ", layers,
                                                      " layers loaded");
                                      },
                                      clock_));
  const model::ModelConfig& config = checkpoint_->config();
  capacity_ = std::make_unique<CapacityModel>(CapacityLimits{
      .max_num_seqs = core_->scheduler().max_num_seqs(),
      .max_step_tokens = options_.max_step_tokens,
      .kv_tokens = std::int64_t{core_->scheduler().kv_blocks()} * options_.kv_block_tokens,
      .experts = static_cast<std::int64_t>(config.moe_layers.size()) * config.moe.num_experts});
  metrics_.OnScrape([this] {
    metrics_.Get(monitoring::metrics::kCapacityTokensPerSecond)
        .Set(capacity_->Predict().tokens_per_second);
    metrics_.Get(monitoring::metrics::kThroughputTokensPerSecond)
        .Set(capacity_->Throughput(clock_.Monotonic()));
  });
  process_metrics_.Loaded();
  process_metrics_.Export(metrics_, options_.build, "router", identity_.numerics_id);
  ExportRouterMetrics(metrics_, core_->scheduler(), *dispatcher_);
  return absl::OkStatus();
}

absl::Status Router::Impl::Serve() {
  ApiOptions api;
  MOESAIC_ASSIGN_OR_RETURN(const http::ListenAddress listen,
                           http::ParseListenAddress(options_.http_address));
  api.http.address = listen.host;
  api.http.port = listen.port;
  api.http.allow_insecure = options_.insecure;
  api.http.max_body_bytes = options_.max_body_bytes;
  api.http.max_bodies_bytes = options_.max_bodies_bytes;
  api.http.max_connections = options_.max_connections;
  api.model_id = options_.model_id;
  api.router_name = options_.name;
  api.build_version = options_.build;
  api.numerics_id = identity_.numerics_id;
  const std::string* chat_template = tokenizer_->config().FindChatTemplate();
  api.parse_reasoning = ParsesReasoning(
      options_.reasoning, chat_template != nullptr ? *chat_template : "", *tokenizer_);
  api.trace_ratio = options_.trace_ratio;
  api.traces.max_bytes = options_.trace_memory_bytes;
  api.log_prompts = options_.log_prompts;
  api.degraded = options_.degraded_after != absl::InfiniteDuration();
  api.enable_return_routed_experts = options_.enable_return_routed_experts;
  api.enable_replay_routed_experts = options_.enable_replay_routed_experts;
  api.moe_layers = static_cast<int>(checkpoint_->config().moe_layers.size());
  api.experts_per_token = checkpoint_->config().moe.gating.top_k;
  api.front_end_threads = options_.front_end_threads;
  api.default_timeout = options_.request_timeout;
  api.max_timeout = std::max(api.max_timeout, options_.request_timeout);
  if (!options_.ledger.url.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(ledger_, monitoring::Ledger::Start(options_.ledger, metrics_));
  }
  MOESAIC_ASSIGN_OR_RETURN(
      api_,
      ApiServer::Build(std::move(api),
                       {core_->scheduler(), *tokenizer_, chat_template_.get(),
                        checkpoint_->generation_config(), metrics_, clock_, ledger_.get(),
                        [this] { return prices_ == nullptr ? "" : prices_->Get()->currency(); }}));
  http_address_ = absl::StrCat(listen.host, ":", api_->port());

  rpc::ServerOptions rpc;
  rpc.address = options_.listen_address;
  rpc.allow_insecure = options_.insecure;
  rpc.enable_reflection = options_.reflection;
  rpc.services = {&api_->inference_service()};
  MOESAIC_ASSIGN_OR_RETURN(grpc_server_, rpc::StartServer(std::move(rpc)));
  grpc_server_->SetServing(true);
  return absl::OkStatus();
}

absl::Status Router::Impl::FollowPlacement() {
  MOESAIC_ASSIGN_OR_RETURN(std::shared_ptr<grpc::Channel> channel,
                           rpc::MakeChannel(options_.coordinator_address, {}));
  placement::PlacementWatcher::Options watch;
  watch.router = options_.name;
  watch.model = identity_;
  watch.description = {.http_address = options_.advertised_address.empty()
                                           ? http_address_
                                           : options_.advertised_address,
                       .node = options_.node,
                       .zone = options_.zone,
                       .node_share = options_.node_share,
                       .build = options_.build};
  watch.take_load = [this] { return TakeLoad(); };
  if (!options_.state_dir.empty()) {
    MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(options_.state_dir));
    watch.state_path = options_.state_dir + "/placement";
  }
  MOESAIC_ASSIGN_OR_RETURN(
      watcher_, placement::PlacementWatcher::Start(std::move(watch), channel, placement_));
  return absl::OkStatus();
}

std::string Router::Impl::Bottleneck(const Capacity& capacity,
                                     const placement::LoadReport& report) const {
  if (capacity.limited_by_kv) return "KV cache";
  const std::shared_ptr<const placement::PlacementMap> map = placement_.Current();
  if (capacity.waiting_share < 0.5 || report.shards.empty() || map == nullptr) {
    return "router compute";
  }
  const auto busiest =
      std::max_element(report.shards.begin(), report.shards.end(),
                       [](const auto& a, const auto& b) { return a.compute < b.compute; });
  const placement::ShardInfo* shard = map->FindShard(busiest->id);
  if (shard == nullptr) return "shards";
  // Reading an expert's weights costs once a batch, its arithmetic once a row.
  double rows = 0, experts = 0;
  for (const placement::LoadReport::Unit& unit : report.units) {
    rows += unit.rows;
    experts += unit.experts;
  }
  const bool reading = experts * shard->us_per_expert > rows * shard->us_per_row;
  return shard->name + (reading ? ", memory bandwidth" : ", compute");
}

placement::LoadReport Router::Impl::TakeLoad() {
  placement::LoadReport report = dispatcher_->TakeLoad();
  const DispatchStats dispatched = dispatcher_->Stats();
  const Scheduler::Stats stats = core_->scheduler().stats();
  placement::RouterLoad& load = report.router;
  load.waiting = static_cast<std::uint32_t>(stats.waiting);
  load.running = static_cast<std::uint32_t>(stats.running);
  load.kv_usage = static_cast<double>(stats.kv_blocks_in_use) /
                  std::max<std::int32_t>(1, core_->scheduler().kv_blocks());
  load.generated_tokens = stats.generated_tokens - reported_.generated_tokens;
  load.prompt_tokens = stats.prompt_tokens - reported_.prompt_tokens;
  load.busy_seconds = stats.busy_seconds - reported_.busy_seconds;
  load.hedges = static_cast<std::uint32_t>(dispatched.hedges - reported_dispatches_.hedges);
  load.retried_units =
      static_cast<std::uint32_t>(dispatched.retried_units - reported_dispatches_.retried_units);
  api_->TakeLoad(load);
  const Capacity capacity = capacity_->Predict();
  load.capacity_tokens_per_s = capacity.tokens_per_second;
  if (capacity.tokens_per_second > 0) load.bottleneck = Bottleneck(capacity, report);
  reported_ = stats;
  reported_dispatches_ = dispatched;
  return report;
}

absl::StatusOr<std::unique_ptr<Router>> Router::Build(RouterOptions options,
                                                      const base::Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), clock);
  MOESAIC_RETURN_IF_ERROR(impl->Build());
  return std::unique_ptr<Router>(new Router(std::move(impl)));
}

Router::Router(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Router::~Router() = default;

const std::string& Router::http_address() const { return impl_->http_address(); }
const std::string& Router::grpc_address() const { return impl_->grpc_address(); }
void Router::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace moesaic::router
