#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "http/exchange.h"
#include "monitoring/trace_context.h"
#include "router/api/answer_format.h"
#include "router/api/generation_call.h"

namespace moesaic::router {

/// Says how answers are computed where experts are missing, when that is not to wait: HTTP header
/// and gRPC metadata.
inline constexpr char kDegradedHeader[] = "x-moesaic-degraded";
inline constexpr char kDegradedMode[] = "renormalize";

/// W3C Trace Context, in and out: HTTP header and gRPC metadata.
inline constexpr char kTraceparentHeader[] = "traceparent";

/// An HTTP exchange with what every answer to it says about the request. Plain value.
struct ApiExchange {
  std::shared_ptr<http::Exchange> exchange;
  std::string request_id;
  absl::Duration arrived;  ///< Monotonic.
  const base::Clock* clock = nullptr;
  monitoring::TraceContext trace = {};
  bool degraded = false;  ///< What answers it may be computed without some experts.

  /// x-request-id, traceparent, openai-processing-ms, and kDegradedHeader where it applies.
  std::vector<http::Header> Headers() const;
  void Respond(const Json& body) const;
  void RespondError(const absl::Status& status) const;
};

/// Answers an HTTP client: one object, or server-sent events. Used on the call's strand.
class HttpResponder final : public CallObserver {
 public:
  struct Options {
    bool stream = false;
    bool include_usage = false;
  };
  HttpResponder(ApiExchange exchange, std::unique_ptr<AnswerFormat> format, Options options)
      : exchange_(std::move(exchange)), format_(std::move(format)), options_(options) {}

  void OnAccepted() override;
  void OnDelta(ChoiceDelta delta) override;
  void OnEnd(const absl::Status& status, const CallUsage& usage) override;

 private:
  const ApiExchange exchange_;
  const std::unique_ptr<AnswerFormat> format_;
  const Options options_;
  bool streaming_ = false;
};

}  // namespace moesaic::router
