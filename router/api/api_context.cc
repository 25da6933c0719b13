#include "router/api/api_context.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/retry_delay.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/error_map.h"
#include "router/api/request_log.h"

namespace moesaic::router {
namespace {

std::uint64_t Random64() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

/// After this a client that asks again finds another router, or the next one under this address.
constexpr absl::Duration kRetryElsewhere = absl::Seconds(1);

}  // namespace

ApiContext::ApiContext(ApiOptions options, ApiParts parts)
    : options_(std::move(options)),
      parts_(parts),
      metrics_(parts_.metrics),
      traces_(options_.traces, parts_.metrics, parts_.clock),
      unknown_fields_(parts_.metrics.Get(monitoring::metrics::kUnknownRequestFieldsTotal)),
      front_end_(options_.front_end_threads, options_.max_front_end_queue) {}

absl::Status ApiContext::CheckServing() const {
  if (!draining_) return absl::OkStatus();
  return base::WithRetryDelay(absl::UnavailableError("this router is shutting down"),
                              kRetryElsewhere);
}

absl::Status ApiContext::CheckModel(std::string_view model) const {
  if (model.empty() || model == options_.model_id) return absl::OkStatus();
  return http::WithParam(
      http::WithErrorCode(absl::NotFoundError(absl::StrCat("the model '", base::ToAbsl(model),
                                                           "' does not exist here")),
                          "model_not_found"),
      "model");
}

void ApiContext::CountUnknownFields(int count) {
  if (count > 0) unknown_fields_.Increment(count);
}

absl::StatusOr<EncodedChat> ApiContext::EncodeChat(const ChatPrompt& prompt,
                                                   bool add_special_tokens) const {
  if (parts_.chat_template == nullptr) {
    return http::WithParam(
        absl::InvalidArgumentError("this model has no chat template: use /v1/completions"),
        "messages");
  }
  const model::TokenizerConfig& config = parts_.tokenizer.config();
  MOESAIC_ASSIGN_OR_RETURN(const std::string text,
                           RenderChat(prompt, *parts_.chat_template, config));
  EncodedChat chat;
  MOESAIC_ASSIGN_OR_RETURN(
      chat.token_ids, parts_.tokenizer.Encode(text, {.add_special_tokens = add_special_tokens}));
  if (options_.parse_reasoning) {
    MOESAIC_ASSIGN_OR_RETURN(chat.answer_start,
                             FindAnswerStart(prompt, text, *parts_.chat_template, config));
  }
  return chat;
}

void ApiContext::RunOnFrontEnd(std::shared_ptr<http::Exchange> exchange, RequestKind kind,
                               Serve serve) {
  ApiExchange named{exchange, ChooseRequestId(exchange->request().HeaderValue("x-request-id")),
                    parts_.clock.Monotonic(), &parts_.clock,
                    monitoring::ContinueTrace(exchange->request().HeaderValue(kTraceparentHeader),
                                              options_.trace_ratio)};
  const auto refuse = [this, named, kind](const absl::Status& status) {
    if (kind == RequestKind::kGeneration) metrics_.RefusedBeforeCall();
    named.RespondError(status);
  };
  if (const absl::Status status = CheckServing(); !status.ok()) {
    metrics_.Refused(status);
    return refuse(status);
  }
  const std::shared_ptr<Strand> strand = front_end_.NewStrand();
  const absl::Status started =
      front_end_.Start(*strand, [this, named, refuse, strand, serve = std::move(serve)]() mutable {
        const absl::Status status = serve(named, std::move(strand));
        if (status.ok()) return;
        metrics_.Refused(status);
        refuse(status);
      });
  if (started.ok()) return;
  metrics_.Overloaded();
  refuse(started);
}

PlanContext ApiContext::MakePlanContext(std::string request_id, std::string_view endpoint,
                                        std::string tenant, absl::Duration arrived,
                                        absl::Duration timeout) const {
  // Clients may choose the same request id twice.
  std::string usage_id = absl::StrCat(request_id, "/", RandomId());
  return {.generation_config = parts_.generation_config,
          .limits = parts_.generator.limits(),
          .enable_return_routed_experts = options_.enable_return_routed_experts,
          .enable_replay_routed_experts = options_.enable_replay_routed_experts,
          .max_choices = options_.max_choices,
          .request_id = std::move(request_id),
          .usage_id = std::move(usage_id),
          .tenant = std::move(tenant),
          .endpoint = std::string(endpoint),
          .arrived = arrived,
          .timeout = timeout,
          .fallback_seed = Random64()};
}

std::shared_ptr<GenerationCall> ApiContext::MakeCall(std::shared_ptr<Strand> strand, CallPlan plan,
                                                     std::unique_ptr<CallObserver> observer) {
  const absl::Duration age = parts_.clock.Monotonic() - plan.arrived;
  plan.trace = traces_.Begin({.request_id = plan.request_id,
                              .context = plan.trace_context,
                              .tenant = plan.tenant,
                              .endpoint = plan.endpoint,
                              .started = parts_.clock.Now() - age,
                              .arrived = plan.arrived});
  for (GenerationRequest& generation : plan.generations) generation.trace = plan.trace;
  if (options_.log_prompts && !plan.generations.empty()) {
    plan.logged_prompt = PromptToLog(parts_.tokenizer, plan.generations.front());
  }
  return std::make_shared<GenerationCall>(
      GenerationCall::Environment{parts_.generator, parts_.tokenizer, parts_.clock, metrics_,
                                  parts_.usage, options_.model_id, options_.router_name,
                                  parts_.currency, &traces_},
      std::move(strand), std::move(plan), std::move(observer));
}

std::string RandomId() { return absl::StrFormat("%016x%016x", Random64(), Random64()); }

std::string ChooseRequestId(std::string_view proposed) {
  constexpr std::size_t kMaxLength = 128;
  const bool sane = !proposed.empty() && proposed.size() <= kMaxLength &&
                    std::all_of(proposed.begin(), proposed.end(), [](unsigned char c) {
                      return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == ':';
                    });
  return sane ? std::string(proposed) : RandomId();
}

absl::StatusOr<absl::Duration> ParseTimeout(std::string_view header, absl::Duration fallback,
                                            absl::Duration max) {
  if (header.empty()) return fallback;
  std::int64_t timeout_ms = 0;
  if (!absl::SimpleAtoi(base::ToAbsl(header), &timeout_ms) || timeout_ms < 1) {
    return http::WithParam(absl::InvalidArgumentError(
                               "X-Request-Timeout-Ms must be a positive number of milliseconds"),
                           "X-Request-Timeout-Ms");
  }
  return std::min(absl::Milliseconds(timeout_ms), max);
}

}  // namespace moesaic::router
