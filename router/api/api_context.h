#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/chat_template.h"
#include "model/generation_config.h"
#include "model/tokenizer.h"
#include "router/api/api_server.h"
#include "router/api/call_metrics.h"
#include "router/api/call_plan.h"
#include "router/api/chat_request.h"
#include "router/api/front_end.h"
#include "router/api/generation_call.h"
#include "router/api/http_responder.h"
#include "router/api/reasoning_parser.h"

namespace moesaic::router {

/// A conversation as the model gets it. Plain value.
struct EncodedChat {
  std::vector<std::int32_t> token_ids;
  AnswerPart answer_start = AnswerPart::kContent;
};

/// What an exchange asks for: tokens to be generated, or text work of the front end alone.
enum class RequestKind { kGeneration, kText };

/// What all endpoints, HTTP and gRPC, share. Lives as long as the ApiServer. Thread-safe.
class ApiContext {
 public:
  ApiContext(ApiOptions options, ApiParts parts);

  const ApiOptions& options() const { return options_; }
  const ApiParts& parts() const { return parts_; }
  FrontEnd& front_end() { return front_end_; }
  CallMetrics& metrics() { return metrics_; }
  const TraceStore& traces() const { return traces_; }

  /// From now on new generations are refused.
  void StartDrain() { draining_ = true; }
  /// Unavailable while draining.
  absl::Status CheckServing() const;
  /// NotFound, code model_not_found, for a model that is not the one served; empty is.
  absl::Status CheckModel(std::string_view model) const;
  void CountUnknownFields(int count);

  /// Renders and tokenises a conversation. Errors: InvalidArgument when the model has no chat
  /// template; those of RenderChat and Tokenizer::Encode.
  absl::StatusOr<EncodedChat> EncodeChat(const ChatPrompt& prompt,
                                         bool add_special_tokens = false) const;

  /// Names the exchange, and runs `serve` with it on the front-end threads; its error is the
  /// answer. Refuses at once when too many requests wait. What is refused here is counted, of a
  /// generation also as its outcome.
  using Serve = absl::AnyInvocable<absl::Status(const ApiExchange&, std::shared_ptr<Strand>)>;
  void RunOnFrontEnd(std::shared_ptr<http::Exchange> exchange, RequestKind kind, Serve serve);

  /// Everything of a PlanContext that does not depend on the request's fields. `endpoint`: as
  /// metrics name it.
  PlanContext MakePlanContext(std::string request_id, std::string_view endpoint, std::string tenant,
                              absl::Duration arrived, absl::Duration timeout) const;
  /// From here on the call is traced.
  std::shared_ptr<GenerationCall> MakeCall(std::shared_ptr<Strand> strand, CallPlan plan,
                                           std::unique_ptr<CallObserver> observer);

 private:
  const ApiOptions options_;
  const ApiParts parts_;
  CallMetrics metrics_;
  TraceStore traces_;
  monitoring::Counter unknown_fields_;
  std::atomic<bool> draining_{false};
  FrontEnd front_end_;  // last: its threads use the rest
};

/// 32 random hexadecimal digits.
std::string RandomId();
/// `proposed` if it may stand in logs and headers (1 to 128 letters, digits, '-', '_', '.', ':'),
/// else a random one.
std::string ChooseRequestId(std::string_view proposed);
/// The value of X-Request-Timeout-Ms, at most `max`; `fallback` when there is none. Errors:
/// InvalidArgument for anything but a positive whole number.
absl::StatusOr<absl::Duration> ParseTimeout(std::string_view header, absl::Duration fallback,
                                            absl::Duration max);

}  // namespace moesaic::router
