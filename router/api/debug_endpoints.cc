#include "router/api/debug_endpoints.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "http/debug_route.h"
#include "http/error_map.h"
#include "router/trace/chrome_trace.h"
#include "router/trace/request_list.h"

namespace moesaic::router {
namespace {

void RespondJson(http::Exchange& exchange, std::string body) {
  http::Response response;
  response.body = std::move(body);
  exchange.Respond(std::move(response));
}

void ServeRequests(const ApiContext& api, http::Exchange& exchange) {
  const absl::StatusOr<RequestQuery> query = ParseRequestQuery(exchange.request().query);
  if (!query.ok()) return exchange.Respond(http::ErrorResponse(query.status()));
  RespondJson(exchange, RequestList(api.traces(), *query, api.parts().clock.Monotonic()));
}

void ServeTrace(const ApiContext& api, http::Exchange& exchange) {
  const std::string& id = exchange.request().path_tail;
  const std::shared_ptr<const RequestTrace> trace = api.traces().Find(id);
  if (trace == nullptr) {
    return exchange.Respond(http::ErrorResponse(absl::NotFoundError(
        absl::StrCat("no request or trace '", id,
                     "' is known here: only the last ones and the slowest of the last minutes are "
                     "kept; /debug/requests lists them"))));
  }
  RespondJson(exchange,
              ChromeTrace(*trace, api.options().router_name, api.parts().clock.Monotonic()));
}

}  // namespace

void AddDebugEndpoints(ApiContext& api, http::RouteTable& routes) {
  const http::DebugAccess access{.remote = api.options().http.allow_insecure};
  http::AddLogLevelRoute(access, routes);
  routes.Add("GET", "/debug/requests",
             http::ForOperators(access, [&api](std::shared_ptr<http::Exchange> exchange) {
               ServeRequests(api, *exchange);
             }));
  routes.Add("GET", "/debug/trace/*",
             http::ForOperators(access, [&api](std::shared_ptr<http::Exchange> exchange) {
               ServeTrace(api, *exchange);
             }));
}

}  // namespace moesaic::router
