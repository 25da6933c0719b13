#include "http/error_map.h"

#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/retry_delay.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace moesaic::http {
namespace {

constexpr absl::string_view kCodeUrl = "moesaic/error_code";
constexpr absl::string_view kParamUrl = "moesaic/param";
constexpr absl::string_view kHttpStatusUrl = "moesaic/http_status";

absl::Status WithPayload(absl::Status status, absl::string_view url, absl::string_view value) {
  status.SetPayload(url, absl::Cord(value));
  return status;
}

std::string PayloadOf(const absl::Status& status, absl::string_view url) {
  const absl::optional<absl::Cord> payload = status.GetPayload(url);
  return payload.has_value() ? std::string(*payload) : std::string();
}

int MapCode(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk:
      return 200;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
      return 400;
    case absl::StatusCode::kUnauthenticated:
      return 401;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kAborted:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kCancelled:
      return 499;  // nobody is there to read it; it is for logs and metrics
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kFailedPrecondition:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:
      return 500;
  }
}

std::string_view ErrorType(int http_status) {
  switch (http_status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return http_status < 500 ? "invalid_request_error" : "server_error";
  }
}

/// The code a client sees when the error carries none of its own; empty prints as null.
std::string DefaultCode(int http_status) {
  switch (http_status) {
    case 401:
      return "invalid_api_key";
    case 429:
      return "rate_limit_exceeded";
    case 503:
      return "overloaded";
    case 504:
      return "timeout";
    default:
      return {};
  }
}

nlohmann::ordered_json NullIfEmpty(std::string text) {
  if (text.empty()) return nullptr;
  return text;
}

}  // namespace

int HttpStatusOf(const absl::Status& status) {
  int http_status = 0;
  if (absl::SimpleAtoi(PayloadOf(status, kHttpStatusUrl), &http_status)) return http_status;
  return MapCode(status.code());
}

absl::Status WithErrorCode(absl::Status status, std::string_view code) {
  return WithPayload(std::move(status), kCodeUrl, base::ToAbsl(code));
}

absl::Status WithParam(absl::Status status, std::string_view param) {
  return WithPayload(std::move(status), kParamUrl, base::ToAbsl(param));
}

absl::Status WithHttpStatus(absl::Status status, int http_status) {
  return WithPayload(std::move(status), kHttpStatusUrl, absl::StrCat(http_status));
}

std::string ErrorCodeOf(const absl::Status& status) { return PayloadOf(status, kCodeUrl); }

std::string ParamOf(const absl::Status& status) { return PayloadOf(status, kParamUrl); }

std::string ErrorJson(const absl::Status& status) {
  const int http_status = HttpStatusOf(status);
  std::string code = ErrorCodeOf(status);
  if (code.empty()) code = DefaultCode(http_status);
  const nlohmann::ordered_json error = {
      {"error",
       {{"message", std::string(status.message())},
        {"type", ErrorType(http_status)},
        {"param", NullIfEmpty(ParamOf(status))},
        {"code", NullIfEmpty(std::move(code))}}},
  };
  // A message may quote bytes of a request: what is not UTF-8 in it is replaced, never thrown on.
  return error.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Response ErrorResponse(const absl::Status& status) {
  Response response;
  response.status = HttpStatusOf(status);
  response.body = ErrorJson(status);
  std::optional<absl::Duration> delay = base::RetryDelay(status);
  if (!delay && (response.status == 429 || response.status == 503)) delay = absl::Seconds(1);
  if (delay) {
    const std::int64_t delay_ms = absl::ToInt64Milliseconds(*delay);
    response.headers.push_back({"retry-after", absl::StrCat((delay_ms + 999) / 1000)});
    response.headers.push_back({"retry-after-ms", absl::StrCat(delay_ms)});
  }
  return response;
}

}  // namespace moesaic::http
