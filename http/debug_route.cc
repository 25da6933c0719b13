#include "http/debug_route.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/error_map.h"

namespace moesaic::http {
namespace {

/// The address a socket reports, so no other spelling has to be known.
bool IsLoopback(std::string_view peer) {
  if (peer.starts_with("::ffff:")) peer.remove_prefix(7);
  return peer.starts_with("127.") || peer == "::1";
}

void RespondLevel(Exchange& exchange) {
  Response response;
  response.body =
      nlohmann::json({{"level", std::string(base::LogLevelName(base::CurrentLogLevel()))}}).dump();
  exchange.Respond(std::move(response));
}

std::optional<base::LogLevel> LevelIn(const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("level") && json["level"].is_string()) {
    return base::ParseLogLevel(json["level"].get<std::string>());
  }
  return base::ParseLogLevel(base::ToStd(absl::StripAsciiWhitespace(body)));
}

void SetLevel(Exchange& exchange) {
  const std::optional<base::LogLevel> level = LevelIn(exchange.request().body);
  if (!level) {
    return exchange.Respond(ErrorResponse(WithParam(
        absl::InvalidArgumentError("the level must be debug, info, warning or error"), "level")));
  }
  base::SetLogLevel(*level);
  base::Log(base::LogLevel::kWarning, "log level set",
            {{"level", base::LogLevelName(*level)}, {"peer", exchange.request().peer}});
  RespondLevel(exchange);
}

}  // namespace

Handler ForOperators(DebugAccess access, Handler handler) {
  return [access, handler = std::move(handler)](std::shared_ptr<Exchange> exchange) {
    if (!access.remote && !IsLoopback(exchange->request().peer)) {
      return exchange->Respond(ErrorResponse(absl::PermissionDeniedError(
          "debug pages answer this machine only; --insecure opens them to others")));
    }
    handler(std::move(exchange));
  };
}

void AddLogLevelRoute(DebugAccess access, RouteTable& routes) {
  constexpr char kPath[] = "/debug/log-level";
  routes.Add("GET", kPath, ForOperators(access, [](std::shared_ptr<Exchange> exchange) {
               RespondLevel(*exchange);
             }));
  routes.Add("PUT", kPath,
             ForOperators(access, [](std::shared_ptr<Exchange> exchange) { SetLevel(*exchange); }));
}

}  // namespace moesaic::http
