#include "placement/coordinator_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/loop.h"
#include "base/status_macros.h"
#include "http/debug_route.h"
#include "http/listen_address.h"
#include "http/metrics_route.h"
#include "http/server.h"
#include "monitoring/cost/price_list.h"
#include "monitoring/process_metrics.h"
#include "monitoring/registry.h"
#include "placement/cluster_view.h"
#include "placement/console_chat.h"
#include "placement/console_routes.h"
#include "placement/coordinator_service.h"
#include "placement/grpc_shard_control.h"
#include "placement/node_time_writer.h"
#include "rpc/server_factory.h"

namespace moesaic::placement {
namespace {

constexpr char kServiceName[] = "moesaic.v1.Coordinator";
/// How often time is looked at: a small part of every duration the policy knows.
constexpr absl::Duration kTick = absl::Milliseconds(50);
/// Gauges over all units are recomputed once a second, often enough for any scrape.
constexpr std::uint64_t kTicksPerRefresh = 20;
/// Time between two looks at who runs: what a process ran at its end beyond the last is not
/// counted.
constexpr std::uint64_t kTicksPerLook = 5;
/// How long a stopping coordinator tries to reach the ledger.
constexpr absl::Duration kLedgerGrace = absl::Seconds(5);
/// Messages waiting for the loop. Each member sends one a heartbeat.
constexpr std::size_t kMaxQueued = 16384;

absl::Status CheckPolicy(const CoordinatorPolicy& policy) {
  if (policy.replicas < 1) return absl::InvalidArgumentError("replicas is 0");
  if (policy.moves.parallel_moves < 1) return absl::InvalidArgumentError("parallel_moves is 0");
  if (policy.heartbeat < absl::Milliseconds(1)) {
    return absl::InvalidArgumentError("heartbeat is below 1 ms");
  }
  if (policy.lease < 2 * policy.heartbeat) {
    return absl::InvalidArgumentError("lease is below two heartbeats");
  }
  return absl::OkStatus();
}

}  // namespace

/// Parts in the order they depend on each other; destroyed in reverse.
class CoordinatorServer::Impl {
 public:
  Impl(const CoordinatorOptions& options, const base::Clock& clock,
       std::unique_ptr<monitoring::PriceListFile> prices)
      : clock_(clock),
        prices_(std::move(prices)),
        loop_(kMaxQueued),
        control_(loop_),
        coordinator_(options, control_, clock),
        view_(coordinator_, {.prices = prices_.get(),
                             .own = options.node_share,
                             .budget_per_month = options.budget_per_month}),
        service_(loop_, coordinator_, view_) {}
  ~Impl() { Shutdown(); }

  absl::Status Start(const CoordinatorOptions& options) {
    rpc::ServerOptions server;
    server.address = options.listen_address;
    server.allow_insecure = options.insecure;
    server.enable_reflection = options.reflection;
    server.services = {&service_};
    if (!options.ledger.url.empty()) {
      const RunningProcess self{.name = "coordinator",
                                .role = "coordinator",
                                .node = options.node,
                                .node_share = options.node_share};
      MOESAIC_ASSIGN_OR_RETURN(
          node_time_, NodeTimeWriter::Start(options.ledger, self, prices_.get(), metrics_, clock_));
    }
    MOESAIC_ASSIGN_OR_RETURN(server_, rpc::StartServer(std::move(server)));
    MOESAIC_RETURN_IF_ERROR(StartHttp(options));
    server_->SetServing(true, kServiceName);
    loop_.PostAfter(kTick, [this] { Tick(); });
    return absl::OkStatus();
  }

  void Shutdown() {
    if (server_ == nullptr || std::exchange(shut_down_, true)) return;
    server_->SetServing(false, kServiceName);
    control_.CancelAll();
    server_->Shutdown(absl::ZeroDuration());
    if (http_ != nullptr) http_->Shutdown(absl::ZeroDuration());
    loop_.Stop();
    if (node_time_ != nullptr) node_time_->Stop(kLedgerGrace);
  }

  const std::string& address() const { return server_->address(); }
  const std::string& http_address() const { return http_address_; }

 private:
  absl::Status StartHttp(const CoordinatorOptions& options) {
    if (options.http_address.empty()) return absl::OkStatus();
    MOESAIC_ASSIGN_OR_RETURN(const http::ListenAddress listen,
                             http::ParseListenAddress(options.http_address));
    http::ServerOptions server;
    server.address = listen.host;
    server.port = listen.port;
    server.allow_insecure = options.insecure;
    server.io_threads = 1;
    http::RouteTable routes;
    process_metrics_.Export(metrics_, options.build, "coordinator", /*numerics_id=*/"");
    http::AddMetricsRoute(routes, metrics_);
    http::AddLogLevelRoute({.remote = options.insecure}, routes);
    AddConsoleRoutes({.loop = loop_, .coordinator = coordinator_, .view = view_, .chat = chat_},
                     options.console_dir, routes);
    MOESAIC_ASSIGN_OR_RETURN(http_, http::Server::Start(std::move(server), std::move(routes)));
    http_address_ = absl::StrCat(listen.host, ":", http_->port());
    return absl::OkStatus();
  }

  void Tick() {
    coordinator_.Advance();
    if (ticks_ % kTicksPerRefresh == 0) view_.Refresh(metrics_);
    if (ticks_++ % kTicksPerLook == 0 && node_time_ != nullptr) node_time_->Look(coordinator_);
    loop_.PostAfter(kTick, [this] { Tick(); });
  }

  const base::Clock& clock_;
  const std::unique_ptr<monitoring::PriceListFile> prices_;  // null: none is known
  base::Loop loop_;
  GrpcShardControl control_;
  Coordinator coordinator_;
  ClusterView view_;
  CoordinatorService service_;
  ConsoleChat chat_;
  monitoring::Registry metrics_;
  monitoring::ProcessMetrics process_metrics_{clock_};
  std::unique_ptr<NodeTimeWriter> node_time_;  // null: nobody keeps it
  std::unique_ptr<rpc::ServerHandle> server_;
  std::unique_ptr<http::Server> http_;
  std::string http_address_;
  std::uint64_t ticks_ = 0;
  bool shut_down_ = false;
};

absl::StatusOr<std::unique_ptr<CoordinatorServer>> CoordinatorServer::Build(
    CoordinatorOptions options, const base::Clock& clock) {
  MOESAIC_RETURN_IF_ERROR(CheckPolicy(options));
  std::unique_ptr<monitoring::PriceListFile> prices;
  if (!options.price_list.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(prices, monitoring::PriceListFile::Open(options.price_list, clock));
  }
  auto impl = std::make_unique<Impl>(options, clock, std::move(prices));
  MOESAIC_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<CoordinatorServer>(new CoordinatorServer(std::move(impl)));
}

CoordinatorServer::CoordinatorServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
CoordinatorServer::~CoordinatorServer() = default;
const std::string& CoordinatorServer::address() const { return impl_->address(); }
const std::string& CoordinatorServer::http_address() const { return impl_->http_address(); }
void CoordinatorServer::Shutdown() { impl_->Shutdown(); }

}  // namespace moesaic::placement
