#include "router/api/api_server.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "grpcpp/impl/service_type.h"
#include "http/route_table.h"
#include "router/api/api_context.h"
#include "router/api/debug_endpoints.h"
#include "router/api/generation_endpoints.h"
#include "router/api/inference_service.h"
#include "router/api/status_endpoints.h"
#include "router/api/text_endpoints.h"

namespace moesaic::router {
namespace {

absl::Status CheckOptions(const ApiOptions& options) {
  if (options.model_id.empty()) return absl::InvalidArgumentError("model_id is empty");
  if (options.front_end_threads < 1 || options.max_front_end_queue < 1 || options.max_choices < 1) {
    return absl::InvalidArgumentError(
        "front_end_threads, max_front_end_queue and max_choices must be at least 1");
  }
  if (options.default_timeout <= absl::ZeroDuration() ||
      options.max_timeout < options.default_timeout) {
    return absl::InvalidArgumentError(
        "the default timeout must be positive and at most the maximum");
  }
  return absl::OkStatus();
}

/// Paths with many values, and those that are none of ours, share a label value each.
std::string_view EndpointLabel(std::string_view path) {
  constexpr std::array<std::string_view, 10> kEndpoints = {
      "/chat/completions", "/completions", "/models", "/tokenize", "/detokenize",
      "/health",           "/readyz",      "/live",   "/livez",    "/metrics"};
  if (path.starts_with("/v1/")) path.remove_prefix(3);
  if (path.starts_with("/models/")) return "/models";
  const auto* known = std::find(kEndpoints.begin(), kEndpoints.end(), path);
  return known != kEndpoints.end() ? *known : "other";
}

/// Every exchange, also those that are no generation.
void LogExchange(const http::Request& request, int status, absl::Duration elapsed) {
  if (!base::LogEnabled(base::LogLevel::kDebug)) return;
  base::Log(base::LogLevel::kDebug, "http",
            {{"method", request.method},
             {"path", request.path},
             {"status", std::int64_t{status}},
             {"seconds", absl::ToDoubleSeconds(elapsed)},
             {"peer", request.peer}});
}

class ApiServerImpl final : public ApiServer {
 public:
  ApiServerImpl(ApiOptions options, ApiParts parts)
      : api_(std::move(options), parts), inference_service_(MakeInferenceService(api_)) {}

  ~ApiServerImpl() override { Shutdown(absl::ZeroDuration()); }

  absl::Status Listen() {
    http::RouteTable routes;
    for (const char* prefix : {"/v1", ""}) {
      Add(routes, absl::StrCat(prefix, "/chat/completions"), ServeChatCompletion);
      Add(routes, absl::StrCat(prefix, "/completions"), ServeCompletion);
    }
    Add(routes, "/tokenize", ServeTokenize);
    Add(routes, "/detokenize", ServeDetokenize);
    AddStatusEndpoints(api_, routes);
    AddDebugEndpoints(api_, routes);

    http::ServerOptions options = api_.options().http;
    options.on_finished = [this, next = options.on_finished](const http::Request& request,
                                                             int status, absl::Duration elapsed) {
      api_.parts()
          .metrics
          .Get(monitoring::metrics::kRequestsTotal,
               {EndpointLabel(request.path), std::to_string(status)})
          .Increment();
      LogExchange(request, status, elapsed);
      if (next) next(request, status, elapsed);
    };
    MOESAIC_ASSIGN_OR_RETURN(http_, http::Server::Start(std::move(options), std::move(routes)));
    return absl::OkStatus();
  }

  std::uint16_t port() const override { return http_->port(); }
  grpc::Service& inference_service() override { return *inference_service_; }

  void TakeLoad(placement::RouterLoad& load) override { api_.metrics().TakeLoad(load); }

  void StartDrain() override { api_.StartDrain(); }

  void Shutdown(absl::Duration grace) override {
    api_.StartDrain();
    // Connections still open at the end of the grace cancel their calls; the front end then runs
    // what that posted.
    if (http_) http_->Shutdown(grace);
    api_.front_end().Stop();
  }

 private:
  using Endpoint = void (*)(ApiContext&, std::shared_ptr<http::Exchange>);
  void Add(http::RouteTable& routes, std::string path, Endpoint endpoint) {
    routes.Add("POST", std::move(path), [this, endpoint](std::shared_ptr<http::Exchange> exchange) {
      endpoint(api_, std::move(exchange));
    });
  }

  ApiContext api_;
  std::unique_ptr<grpc::Service> inference_service_;
  std::unique_ptr<http::Server> http_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ApiServer>> ApiServer::Build(ApiOptions options, ApiParts parts) {
  MOESAIC_RETURN_IF_ERROR(CheckOptions(options));
  auto server = std::make_unique<ApiServerImpl>(std::move(options), parts);
  MOESAIC_RETURN_IF_ERROR(server->Listen());
  return server;
}

}  // namespace moesaic::router
