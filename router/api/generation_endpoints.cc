#include "router/api/generation_endpoints.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/error_map.h"
#include "router/api/chat_answer.h"
#include "router/api/completion_answer.h"
#include "router/api/completion_request.h"
#include "router/api/json.h"

namespace moesaic::router {
namespace {

using TokenIds = std::vector<std::int32_t>;

absl::StatusOr<PlanContext> PlanContextFor(ApiContext& api, const ApiExchange& exchange,
                                           std::string_view endpoint, std::string_view user) {
  MOESAIC_ASSIGN_OR_RETURN(
      std::string tenant,
      TenantOf(exchange.exchange->request().HeaderValue("x-moesaic-tenant"), user));
  MOESAIC_ASSIGN_OR_RETURN(
      const absl::Duration timeout,
      ParseTimeout(exchange.exchange->request().HeaderValue("x-request-timeout-ms"),
                   api.options().default_timeout, api.options().max_timeout));
  PlanContext context = api.MakePlanContext(exchange.request_id, endpoint, std::move(tenant),
                                            exchange.arrived, timeout);
  context.trace_context = exchange.trace;
  return context;
}

AnswerContext MakeAnswerContext(const ApiContext& api, const GenerationFields& fields,
                                const CallPlan& plan, std::string id) {
  AnswerContext context;
  context.id = std::move(id);
  context.created_unix_s = absl::ToUnixSeconds(api.parts().clock.Now());
  context.model = api.options().model_id;
  context.system_fingerprint = api.options().numerics_id;
  context.tokenizer = &api.parts().tokenizer;
  context.choices = static_cast<int>(plan.generations.size());
  context.choices_per_prompt = plan.choices_per_prompt;
  context.include_usage = fields.include_usage.value_or(false);
  context.logprobs = fields.top_logprobs.has_value();
  context.return_token_ids = fields.return_token_ids;
  context.stream_routed_experts = fields.stream_routed_experts;
  context.degraded = api.options().degraded;
  context.moe_layers = api.options().moe_layers;
  context.experts_per_token = api.options().experts_per_token;
  return context;
}

/// Starts the generations and connects them with the client, both ways.
void StartCall(ApiContext& api, ApiExchange exchange, std::shared_ptr<Strand> strand,
               const GenerationFields& fields, CallPlan plan,
               std::unique_ptr<AnswerFormat> format) {
  exchange.degraded = api.options().degraded;
  auto responder = std::make_unique<HttpResponder>(
      exchange, std::move(format),
      HttpResponder::Options{fields.stream, fields.include_usage.value_or(false)});
  auto call = api.MakeCall(std::move(strand), std::move(plan), std::move(responder));
  exchange.exchange->OnDisconnect([call] { call->Cancel(); });
  call->Start();
}

absl::Status StartChat(ApiContext& api, const ApiExchange& exchange,
                       std::shared_ptr<Strand> strand) {
  MOESAIC_ASSIGN_OR_RETURN(const Json body, ParseRequestBody(exchange.exchange->request().body));
  MOESAIC_ASSIGN_OR_RETURN(const ChatRequest request, ParseChatRequest(body));
  api.CountUnknownFields(request.unknown_fields);
  MOESAIC_RETURN_IF_ERROR(api.CheckModel(request.model));
  MOESAIC_ASSIGN_OR_RETURN(PlanContext context,
                           PlanContextFor(api, exchange, "/chat/completions", request.user));
  MOESAIC_ASSIGN_OR_RETURN(EncodedChat prompt, api.EncodeChat(request.prompt));
  MOESAIC_ASSIGN_OR_RETURN(CallPlan plan, MakeCallPlan(request, {prompt.token_ids}, context));
  plan.answer_start = prompt.answer_start;
  AnswerContext answer =
      MakeAnswerContext(api, request, plan, absl::StrCat("chatcmpl-", exchange.request_id));
  answer.reasoning = api.options().parse_reasoning;
  answer.prompt_token_ids.push_back(std::move(prompt.token_ids));
  StartCall(api, exchange, std::move(strand), request, std::move(plan),
            std::make_unique<ChatAnswer>(std::move(answer)));
  return absl::OkStatus();
}

absl::StatusOr<TokenIds> EncodePrompt(const ApiContext& api, const CompletionPrompt& prompt) {
  if (const auto* ids = std::get_if<TokenIds>(&prompt)) return *ids;
  absl::StatusOr<TokenIds> ids = api.parts().tokenizer.Encode(std::get<std::string>(prompt));
  if (!ids.ok()) return http::WithParam(ids.status(), "prompt");
  return ids;
}

std::string PromptText(const ApiContext& api, const CompletionPrompt& prompt) {
  if (const auto* text = std::get_if<std::string>(&prompt)) return *text;
  return api.parts().tokenizer.Decode(std::get<TokenIds>(prompt),
                                      /*skip_special_tokens=*/false);
}

absl::Status StartCompletion(ApiContext& api, const ApiExchange& exchange,
                             std::shared_ptr<Strand> strand) {
  MOESAIC_ASSIGN_OR_RETURN(const Json body, ParseRequestBody(exchange.exchange->request().body));
  MOESAIC_ASSIGN_OR_RETURN(const CompletionRequest request, ParseCompletionRequest(body));
  api.CountUnknownFields(request.unknown_fields);
  MOESAIC_RETURN_IF_ERROR(api.CheckModel(request.model));
  MOESAIC_ASSIGN_OR_RETURN(PlanContext context,
                           PlanContextFor(api, exchange, "/completions", request.user));
  // With nothing to generate, the prompt still has to be computed for something.
  if (request.echo && (request.top_logprobs || request.max_tokens == 0)) {
    context.prompt_top_logprobs = request.top_logprobs.value_or(0);
  }
  std::vector<TokenIds> prompts;
  std::vector<std::string> echo;
  for (const CompletionPrompt& prompt : request.prompts) {
    MOESAIC_ASSIGN_OR_RETURN(TokenIds ids, EncodePrompt(api, prompt));
    prompts.push_back(std::move(ids));
    if (request.echo) echo.push_back(PromptText(api, prompt));
  }
  MOESAIC_ASSIGN_OR_RETURN(CallPlan plan, MakeCallPlan(request, prompts, context));
  AnswerContext answer =
      MakeAnswerContext(api, request, plan, absl::StrCat("cmpl-", exchange.request_id));
  answer.prompt_token_ids = std::move(prompts);
  StartCall(api, exchange, std::move(strand), request, std::move(plan),
            std::make_unique<CompletionAnswer>(std::move(answer), std::move(echo)));
  return absl::OkStatus();
}

}  // namespace

void ServeChatCompletion(ApiContext& api, std::shared_ptr<http::Exchange> exchange) {
  api.RunOnFrontEnd(std::move(exchange), RequestKind::kGeneration,
                    [&api](const ApiExchange& named, std::shared_ptr<Strand> strand) {
                      return StartChat(api, named, std::move(strand));
                    });
}

void ServeCompletion(ApiContext& api, std::shared_ptr<http::Exchange> exchange) {
  api.RunOnFrontEnd(std::move(exchange), RequestKind::kGeneration,
                    [&api](const ApiExchange& named, std::shared_ptr<Strand> strand) {
                      return StartCompletion(api, named, std::move(strand));
                    });
}

}  // namespace moesaic::router
