#include "placement/console_routes.h"

#include <google/protobuf/util/json_util.h>

#include <functional>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/error_map.h"
#include "http/static_files.h"

namespace moesaic::placement {
namespace {

/// Several viewers, one answer: what is so old is made anew.
constexpr absl::Duration kFresh = absl::Milliseconds(200);
/// Debian's node-d3 (scripts/install_deps.sh). Without it the page has no charts, and says so.
constexpr char kChartLibrary[] = "/usr/share/nodejs/d3/dist/d3.min.js";

/// The page runs its own scripts and talks to its own server, nothing else.
std::vector<http::Header> PageHeaders() {
  return {{"content-security-policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
           "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
          {"x-content-type-options", "nosniff"},
          {"referrer-policy", "no-referrer"},
          {"cross-origin-opener-policy", "same-origin"},
          {"cross-origin-resource-policy", "same-origin"}};
}

std::string ClusterJson(ClusterView& view) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(view.Describe(), &json, options);
  if (!printed.ok()) base::LogError("console: ", printed.ToString());
  return json;
}

/// GET `path` with what `make` makes on the loop.
void AddData(const ConsoleParts& parts, const std::string& path, std::function<std::string()> make,
             http::RouteTable& routes) {
  struct Cached {
    std::string body;
    absl::Duration made_at = -absl::InfiniteDuration();
  };
  routes.Add(
      "GET", path,
      [&loop = parts.loop, &coordinator = parts.coordinator, make = std::move(make),
       cached = std::make_shared<Cached>()](const std::shared_ptr<http::Exchange>& exchange) {
        const absl::Status posted = loop.Post([&coordinator, make, cached, exchange] {
          if (coordinator.now() - cached->made_at >= kFresh) {
            cached->body = make();
            cached->made_at = coordinator.now();
          }
          exchange->Respond({.headers = {{"cache-control", "no-store"},
                                         {"x-content-type-options", "nosniff"},
                                         {"cross-origin-resource-policy", "same-origin"}},
                             .body = cached->body});
        });
        if (!posted.ok()) exchange->Respond(http::ErrorResponse(posted));
      });
}

/// The address of a connected router's API; the one that has least to do.
absl::StatusOr<std::string> ChooseRouter(const Coordinator& coordinator) {
  const Coordinator::Router* best = nullptr;
  const auto work = [](const Coordinator::Router& router) {
    return router.load.running + router.load.waiting;
  };
  for (const auto& [session, router] : coordinator.routers()) {
    if (router.description.http_address.empty()) continue;
    if (best == nullptr || work(router) < work(*best)) best = &router;
  }
  if (best == nullptr) return absl::UnavailableError("no router with an HTTP API is connected");
  return best->description.http_address;
}

void AddChat(const ConsoleParts& parts, http::RouteTable& routes) {
  routes.Add("POST", "/console/api/chat", [parts](const std::shared_ptr<http::Exchange>& exchange) {
    // Another site's page cannot send this type without asking first, and is not
    // answered then.
    if (!absl::StartsWith(base::ToAbsl(exchange->request().HeaderValue("content-type")),
                          "application/json")) {
      return exchange->Respond(http::ErrorResponse(http::WithHttpStatus(
          absl::InvalidArgumentError("the body is to be application/json"), 415)));
    }
    const absl::Status posted = parts.loop.Post([parts, exchange] {
      const absl::StatusOr<std::string> router = ChooseRouter(parts.coordinator);
      if (!router.ok()) {
        return exchange->Respond(http::ErrorResponse(router.status()));
      }
      parts.chat.Answer(exchange, *router);
    });
    if (!posted.ok()) exchange->Respond(http::ErrorResponse(posted));
  });
}

}  // namespace

void AddConsoleRoutes(const ConsoleParts& parts, const std::string& directory,
                      http::RouteTable& routes) {
  ClusterView& view = parts.view;
  AddData(
      parts, "/console/api/cluster", [&view] { return ClusterJson(view); }, routes);
  AddData(
      parts, "/console/api/experts", [&view] { return view.ExpertsJson(); }, routes);
  AddData(
      parts, "/console/api/history", [&view] { return view.HistoryJson(); }, routes);
  AddChat(parts, routes);
  if (directory.empty()) return;
  http::StaticFiles files;
  if (const absl::Status added = files.AddDirectory(directory); !added.ok()) {
    return base::LogWarning("no console page: ", added.ToString());
  }
  if (const absl::Status added = files.AddFile("d3.js", kChartLibrary); !added.ok()) {
    base::LogWarning("the console has no charts: ", added.ToString());
  }
  files.Serve("/console", PageHeaders(), routes);
  routes.Add("GET", "/", [](const std::shared_ptr<http::Exchange>& exchange) {
    exchange->Respond({.status = 302, .headers = {{"location", "/console"}}, .body = ""});
  });
}

}  // namespace moesaic::placement
