#include "router/api/inference_service.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/error_map.h"
#include "monitoring/catalogue.h"
#include "proto/moesaic/v1/inference.grpc.pb.h"
#include "router/api/fields.h"
#include "router/api/generate_stream.h"

namespace moesaic::router {
namespace {

using TokenIds = std::vector<std::int32_t>;

constexpr char kEndpoint[] = "grpc/Generate";

/// The request as the JSON body it would be, so that one table checks both APIs.
Json ToFields(const v1::GenerateRequest& request) {
  const v1::SamplingParams& sampling = request.sampling();
  Json json = {{"min_tokens", request.min_tokens()},
               {"ignore_eos", request.ignore_eos()},
               {"return_routed_experts", request.return_routed_experts()}};
  if (!request.model().empty()) json["model"] = request.model();
  if (request.n() != 0) json["n"] = request.n();
  if (request.has_max_tokens()) json["max_tokens"] = request.max_tokens();
  if (sampling.has_temperature()) json["temperature"] = sampling.temperature();
  if (sampling.has_top_p()) json["top_p"] = sampling.top_p();
  if (sampling.has_top_k()) json["top_k"] = sampling.top_k();
  if (sampling.has_min_p()) json["min_p"] = sampling.min_p();
  if (sampling.has_seed()) json["seed"] = sampling.seed();
  if (sampling.has_presence_penalty()) json["presence_penalty"] = sampling.presence_penalty();
  if (sampling.has_frequency_penalty()) json["frequency_penalty"] = sampling.frequency_penalty();
  if (sampling.has_repetition_penalty()) json["repetition_penalty"] = sampling.repetition_penalty();
  for (const auto& [id, bias] : sampling.logit_bias())
    json["logit_bias"][std::to_string(id)] = bias;
  for (const std::string& stop : request.stop()) json["stop"].push_back(stop);
  for (const std::uint32_t id : request.stop_token_ids()) json["stop_token_ids"].push_back(id);
  return json;
}

absl::StatusOr<GenerationFields> ReadFields(const v1::GenerateRequest& request) {
  constexpr std::uint32_t kMaxTopLogprobs = 20;
  // Reading them into an ordered object is quadratic, as JSON bodies are bounded for.
  constexpr int kMaxLogitBias = 1024;
  if (request.sampling().logit_bias_size() > kMaxLogitBias) {
    return NameField(
        absl::InvalidArgumentError(absl::StrCat("must have at most ", kMaxLogitBias, " entries")),
        "logit_bias");
  }
  if (!request.adapter().empty()) return NameField(Unsupported(), "adapter");
  GenerationFields fields;
  const Json json = ToFields(request);
  for (const auto& [name, value] : json.items()) {
    bool known = false;
    MOESAIC_RETURN_IF_ERROR(ReadGenerationField(name, value, fields, known));
  }
  if (request.has_top_logprobs()) {
    if (request.top_logprobs() > kMaxTopLogprobs) {
      return NameField(
          absl::InvalidArgumentError(absl::StrCat("must be at most ", kMaxTopLogprobs)),
          "top_logprobs");
    }
    fields.top_logprobs = static_cast<int>(request.top_logprobs());
  }
  if (fields.max_tokens == 0 && !request.prompt_logprobs()) {
    return NameField(absl::InvalidArgumentError("must be at least 1 without 'prompt_logprobs'"),
                     "max_tokens");
  }
  MOESAIC_RETURN_IF_ERROR(CheckGenerationFields(fields));
  return fields;
}

absl::StatusOr<TokenIds> ReadPrompt(const ApiContext& api, const v1::GenerateRequest& request) {
  switch (request.prompt_case()) {
    case v1::GenerateRequest::kText:
      return api.parts().tokenizer.Encode(request.text());
    case v1::GenerateRequest::kPromptTokenIds:
      return TokenIds(request.prompt_token_ids().ids().begin(),
                      request.prompt_token_ids().ids().end());
    default:
      return NameField(absl::InvalidArgumentError("is required"), "prompt");
  }
}

void FillLogprob(const TokenLogprob& from, v1::TokenLogprob& to) {
  to.set_token_id(static_cast<std::uint32_t>(from.token_id));
  to.set_logprob(from.logprob);
  for (const auto& [id, logprob] : from.top) {
    v1::TokenLogprob& top = *to.add_top();
    top.set_token_id(static_cast<std::uint32_t>(id));
    top.set_logprob(logprob);
  }
}

/// Sends a call's progress to a gRPC client.
class GrpcObserver final : public CallObserver {
 public:
  GrpcObserver(std::shared_ptr<GenerateStream> stream, int prompt_tokens, int choices)
      : stream_(std::move(stream)), prompt_tokens_(prompt_tokens), completion_tokens_(choices) {}

  void OnAccepted() override {}

  void OnDelta(ChoiceDelta delta) override {
    completion_tokens_[delta.choice] += static_cast<std::uint32_t>(delta.token_ids.size());
    v1::GenerateResponse response;
    response.set_choice(delta.choice);
    response.set_text(std::move(delta.text));
    response.mutable_token_ids()->Add(delta.token_ids.begin(), delta.token_ids.end());
    for (const TokenLogprob& entry : delta.logprobs) FillLogprob(entry, *response.add_logprobs());
    if (delta.choice == 0) {
      for (const TokenLogprob& entry : delta.prompt_logprobs) {
        FillLogprob(entry, *response.add_prompt_logprobs());
      }
    }
    if (delta.finish_reason) {
      response.set_routed_experts(delta.routed_experts.data(),
                                  delta.routed_experts.size() * sizeof(std::int32_t));
      response.set_finish_reason(*delta.finish_reason == FinishReason::kStop
                                     ? v1::FINISH_REASON_STOP
                                     : v1::FINISH_REASON_LENGTH);
      response.set_prompt_tokens(prompt_tokens_);
      response.set_completion_tokens(completion_tokens_[delta.choice]);
      response.set_cached_tokens(delta.cached_prompt_tokens);
      response.set_degraded_tokens(delta.degraded_tokens);
    }
    stream_->Send(std::move(response));
  }

  void OnEnd(const absl::Status& status, const CallUsage&) override { stream_->End(status); }

 private:
  const std::shared_ptr<GenerateStream> stream_;
  const std::uint32_t prompt_tokens_;
  std::vector<std::uint32_t> completion_tokens_;  // by choice
};

class InferenceService final : public v1::Inference::CallbackService {
 public:
  explicit InferenceService(ApiContext& api) : api_(api) {}

  grpc::ServerWriteReactor<v1::GenerateResponse>* Generate(
      grpc::CallbackServerContext* context, const v1::GenerateRequest* request) override {
    std::shared_ptr<GenerateStream> stream =
        GenerateStream::Create([this](const absl::Status& status) {
          api_.parts()
              .metrics
              .Get(monitoring::metrics::kRequestsTotal,
                   {kEndpoint, std::to_string(http::HttpStatusOf(status))})
              .Increment();
        });
    if (api_.options().degraded) context->AddInitialMetadata(kDegradedHeader, kDegradedMode);
    const Caller caller = CallerOf(*context);
    context->AddInitialMetadata(kTraceparentHeader, monitoring::FormatTraceparent(caller.trace));
    const std::shared_ptr<Strand> strand = api_.front_end().NewStrand();
    absl::Status status = api_.CheckServing();
    if (status.ok()) {
      status = api_.front_end().Start(
          *strand, [this, stream, strand, caller, request = *request]() mutable {
            const absl::Status started = Start(stream, std::move(strand), request, caller);
            if (started.ok()) return;
            api_.metrics().Refused(started);
            api_.metrics().RefusedBeforeCall();
            stream->End(started);
          });
      if (!status.ok()) api_.metrics().Overloaded();
    } else {
      api_.metrics().Refused(status);
    }
    GenerateStream* const reactor = stream.get();
    if (!status.ok()) {
      api_.metrics().RefusedBeforeCall();
      stream->End(status);
    }
    return reactor;
  }

 private:
  /// What a call says of itself beside its message.
  struct Caller {
    std::string tenant_header;
    absl::Duration arrived;
    absl::Duration timeout;
    monitoring::TraceContext trace;
  };

  Caller CallerOf(const grpc::CallbackServerContext& context) const {
    const auto metadata = [&context](const char* name) -> std::string {
      const auto found = context.client_metadata().find(name);
      if (found == context.client_metadata().end()) return "";
      return {found->second.data(), found->second.size()};
    };
    return {metadata("x-moesaic-tenant"), api_.parts().clock.Monotonic(), TimeoutOf(context),
            monitoring::ContinueTrace(metadata(kTraceparentHeader), api_.options().trace_ratio)};
  }

  absl::Duration TimeoutOf(const grpc::CallbackServerContext& context) const {
    const auto deadline = context.deadline();
    if (deadline == std::chrono::system_clock::time_point::max()) {
      return api_.options().default_timeout;
    }
    return std::min(absl::FromChrono(deadline - std::chrono::system_clock::now()),
                    api_.options().max_timeout);
  }

  absl::Status Start(const std::shared_ptr<GenerateStream>& stream, std::shared_ptr<Strand> strand,
                     const v1::GenerateRequest& request, const Caller& caller) {
    MOESAIC_ASSIGN_OR_RETURN(std::string tenant, TenantOf(caller.tenant_header, /*user=*/""));
    MOESAIC_ASSIGN_OR_RETURN(const GenerationFields fields, ReadFields(request));
    MOESAIC_RETURN_IF_ERROR(api_.CheckModel(fields.model));
    MOESAIC_ASSIGN_OR_RETURN(const TokenIds prompt, ReadPrompt(api_, request));
    PlanContext context = api_.MakePlanContext(ChooseRequestId(request.request_id()), kEndpoint,
                                               std::move(tenant), caller.arrived, caller.timeout);
    context.trace_context = caller.trace;
    context.resume_token_ids.assign(request.resume_token_ids().begin(),
                                    request.resume_token_ids().end());
    if (request.prompt_logprobs()) {
      context.prompt_top_logprobs = fields.top_logprobs.value_or(0);
    }
    MOESAIC_ASSIGN_OR_RETURN(CallPlan plan, MakeCallPlan(fields, {prompt}, context));
    auto observer = std::make_unique<GrpcObserver>(stream, static_cast<int>(prompt.size()),
                                                   static_cast<int>(plan.generations.size()));
    auto call = api_.MakeCall(std::move(strand), std::move(plan), std::move(observer));
    stream->OnDisconnect([call] { call->Cancel(); });
    call->Start();
    return absl::OkStatus();
  }

  ApiContext& api_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeInferenceService(ApiContext& api) {
  return std::make_unique<InferenceService>(api);
}

}  // namespace moesaic::router
