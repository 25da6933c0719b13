#include "router/api/status_endpoints.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "http/error_map.h"
#include "http/metrics_route.h"
#include "router/api/json.h"

namespace moesaic::router {
namespace {

using ExchangePtr = std::shared_ptr<http::Exchange>;

void RespondJson(const ExchangePtr& exchange, const Json& body) {
  http::Response response;
  response.body = Print(body);
  exchange->Respond(std::move(response));
}

Json ModelJson(const ApiContext& api, std::int64_t created_unix_s) {
  return {{"id", api.options().model_id},
          {"object", "model"},
          {"created", created_unix_s},
          {"owned_by", "moesaic"},
          {"max_model_len", api.parts().generator.limits().max_model_len}};
}

void ServeHealth(const ApiContext& api, const ExchangePtr& exchange) {
  absl::Status ready = api.CheckServing();
  if (ready.ok()) ready = api.parts().generator.Ready();
  if (ready.ok()) return RespondJson(exchange, {{"status", "ok"}});
  exchange->Respond(http::ErrorResponse(ready));
}

}  // namespace

void AddStatusEndpoints(ApiContext& api, http::RouteTable& routes) {
  const std::int64_t started_unix_s = absl::ToUnixSeconds(api.parts().clock.Now());
  for (const char* prefix : {"/v1", ""}) {
    routes.Add("GET", absl::StrCat(prefix, "/models"),
               [&api, started_unix_s](const ExchangePtr& exchange) {
                 RespondJson(exchange, {{"object", "list"},
                                        {"data", Json::array({ModelJson(api, started_unix_s)})}});
               });
    routes.Add("GET", absl::StrCat(prefix, "/models/*"),
               [&api, started_unix_s](const ExchangePtr& exchange) {
                 const absl::Status status = api.CheckModel(exchange->request().path_tail);
                 if (!status.ok()) return exchange->Respond(http::ErrorResponse(status));
                 RespondJson(exchange, ModelJson(api, started_unix_s));
               });
  }
  for (const char* ready : {"/health", "/readyz"}) {
    routes.Add("GET", ready, [&api](const ExchangePtr& exchange) { ServeHealth(api, exchange); });
  }
  for (const char* live : {"/live", "/livez"}) {
    routes.Add("GET", live, [](const ExchangePtr& exchange) {
      RespondJson(exchange, {{"status", "ok"}});
    });
  }
  routes.Add("GET", "/version", [&api](const ExchangePtr& exchange) {
    RespondJson(exchange, {{"version", api.options().build_version},
                           {"numerics_id", api.options().numerics_id}});
  });
  http::AddMetricsRoute(routes, api.parts().metrics);
}

}  // namespace moesaic::router
