#include "http/metrics_route.h"

#include <utility>

namespace moesaic::http {

void AddMetricsRoute(RouteTable& routes, monitoring::Registry& registry) {
  routes.Add("GET", "/metrics", [&registry](const std::shared_ptr<Exchange>& exchange) {
    Response response;
    response.content_type = std::string(monitoring::Registry::ExpositionContentType());
    response.body = registry.Exposition();
    exchange->Respond(std::move(response));
  });
}

}  // namespace moesaic::http
