#include "router/api/http_responder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "http/error_map.h"
#include "http/sse.h"

namespace moesaic::router {

std::vector<http::Header> ApiExchange::Headers() const {
  const std::int64_t elapsed_ms = absl::ToInt64Milliseconds(clock->Monotonic() - arrived);
  std::vector<http::Header> headers = {{"x-request-id", request_id},
                                       {kTraceparentHeader, monitoring::FormatTraceparent(trace)},
                                       {"openai-processing-ms", absl::StrCat(elapsed_ms)}};
  if (degraded) headers.push_back({kDegradedHeader, kDegradedMode});
  return headers;
}

void ApiExchange::Respond(const Json& body) const {
  http::Response response;
  response.headers = Headers();
  response.body = Print(body);
  exchange->Respond(std::move(response));
}

void ApiExchange::RespondError(const absl::Status& status) const {
  http::Response response = http::ErrorResponse(status);
  for (http::Header& header : Headers()) response.headers.push_back(std::move(header));
  exchange->Respond(std::move(response));
}

void HttpResponder::OnAccepted() {
  if (!options_.stream) return;
  streaming_ = true;
  exchange_.exchange->StartStream(exchange_.Headers());
}

void HttpResponder::OnDelta(ChoiceDelta delta) {
  if (!streaming_) return format_->Collect(std::move(delta));
  for (const Json& chunk : format_->Chunks(delta)) {
    // A client that is gone or too slow is reported by OnDisconnect, which cancels the call.
    if (!exchange_.exchange->Write(http::SseData(Print(chunk)))) return;
  }
}

void HttpResponder::OnEnd(const absl::Status& status, const CallUsage& usage) {
  if (!streaming_) {
    return status.ok() ? exchange_.Respond(format_->Whole(usage)) : exchange_.RespondError(status);
  }
  std::string last;
  if (!status.ok()) {
    last = http::SseData(http::ErrorJson(status));
  } else if (options_.include_usage) {
    last = http::SseData(Print(format_->UsageChunk(usage)));
  }
  exchange_.exchange->Write(last + http::SseData("[DONE]"));
  exchange_.exchange->FinishStream();
}

}  // namespace moesaic::router
