#include "router/scheduler/sequence.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace moesaic::router {

Sequence::Sequence(std::uint64_t handle, GenerationRequest request, Generator::Sink sink,
                   const TokenRules& rules, absl::Duration now)
    : handle_(handle),
      request_(std::move(request)),
      sink_(std::move(sink)),
      rules_(rules),
      banned_(request_.stop_token_ids),
      tokens_(request_.prompt_token_ids),
      submitted_(now) {
  banned_.insert(banned_.end(), rules.eos_token_ids.begin(), rules.eos_token_ids.end());
  tokens_.insert(tokens_.end(), request_.resume_token_ids.begin(), request_.resume_token_ids.end());
  for (const auto& [token, bias] : request_.sampling.logit_bias) {
    logit_bias_.push_back({token, bias});
  }
  if (HasPenalty()) {
    history_.AddPrompt(request_.prompt_token_ids);
    for (const std::int32_t token : request_.resume_token_ids) history_.AddGenerated(token);
  }
  // Spans of tokens_ lent to a step stay valid: it never grows beyond this.
  tokens_.reserve(request_.prompt_token_ids.size() + request_.max_tokens);
}

SequenceSnapshot Sequence::Snapshot() const {
  return {.prompt_length = prompt_length(),
          .target = static_cast<std::int32_t>(tokens_.size()),
          .computed = computed_,
          .blocks = static_cast<std::int32_t>(block_table_.size())};
}

bool Sequence::Start(absl::Duration now) {
  const bool first = !started();
  started_ = std::min(started_, now);
  return first;
}

std::optional<ScoreSpec> Sequence::PromptScores(std::int32_t tokens) const {
  if (!request_.prompt_top_logprobs) return std::nullopt;
  const std::int32_t begin = std::max(computed_, prompt_scored_);
  const std::int32_t end = std::min(computed_ + tokens, prompt_length() - 1);
  if (begin >= end) return std::nullopt;
  return ScoreSpec{
      .first_row = begin - computed_,
      .targets = absl::MakeConstSpan(request_.prompt_token_ids).subspan(begin + 1, end - begin),
      .top = *request_.prompt_top_logprobs};
}

bool Sequence::HasPenalty() const {
  const SamplingParams& sampling = request_.sampling;
  return sampling.presence_penalty != 0 || sampling.frequency_penalty != 0 ||
         sampling.repetition_penalty != 1;
}

SampleSpec Sequence::Sampling() const {
  const SamplingParams& sampling = request_.sampling;
  SampleSpec spec;
  spec.input.params = {.temperature = sampling.temperature,
                       .top_k = sampling.top_k,
                       .top_p = sampling.top_p,
                       .min_p = sampling.min_p,
                       .repetition_penalty = sampling.repetition_penalty,
                       .presence_penalty = sampling.presence_penalty,
                       .frequency_penalty = sampling.frequency_penalty};
  if (HasPenalty()) spec.input.history = &history_;
  spec.input.logit_bias = logit_bias_;
  if (generated() < request_.min_tokens) spec.input.forbidden = banned_;
  spec.input.key = {.seed = sampling.seed,
                    .choice = static_cast<std::uint32_t>(request_.choice),
                    .position = tokens_.size()};
  spec.top_logprobs = request_.top_logprobs;
  return spec;
}

StepSlice Sequence::MakeSlice(std::int32_t tokens) const {
  StepSlice slice;
  slice.tokens = absl::MakeConstSpan(tokens_).subspan(computed_, tokens);
  slice.first_position = computed_;
  slice.prompt_length = prompt_length();
  slice.block_table = block_table_;
  slice.deadline = request_.deadline;
  if (computed_ + tokens == static_cast<std::int32_t>(tokens_.size()) && WantsToken()) {
    slice.sample = Sampling();
  }
  slice.score = PromptScores(tokens);
  const auto replay = absl::MakeConstSpan(request_.replay_routed_experts);
  const std::size_t replay_begin = std::size_t(computed_) * rules_.routing_width;
  if (replay_begin < replay.size()) {
    slice.replay_routing = replay.subspan(replay_begin, std::size_t(tokens) * rules_.routing_width);
  }
  slice.record_routing = request_.return_routed_experts || request_.stream_routed_experts;
  if (trace() != nullptr && trace()->request().context.sampled) {
    slice.trace_id = &trace()->request().context.trace_id;
  }
  return slice;
}

void Sequence::KeepRouting(std::int32_t tokens, const std::vector<std::int32_t>& routing) {
  const std::size_t width = rules_.routing_width;
  routing_.resize(std::max(routing_.size(), (computed_ + tokens) * width));
  std::copy(routing.begin(), routing.end(), routing_.begin() + computed_ * width);
}

bool Sequence::IsStopToken(std::int32_t token) const {
  const auto holds = [token](const std::vector<std::int32_t>& ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
  return holds(request_.stop_token_ids) || (!request_.ignore_eos && holds(rules_.eos_token_ids));
}

void Sequence::Take(SliceResult& result, absl::Duration now, GenerationEvent& event) {
  first_token_ = std::min(first_token_, now);
  tokens_.push_back(result.token);
  if (HasPenalty()) history_.AddGenerated(result.token);
  event.token_ids.push_back(result.token);
  if (request_.stream_routed_experts) {
    event.token_experts.assign(result.routing.end() - rules_.routing_width, result.routing.end());
  }
  if (request_.top_logprobs) event.logprobs.push_back(std::move(result.logprob));
  event.last_is_stop_token = IsStopToken(result.token);
  event.finish_reason = event.last_is_stop_token ? FinishReason::kStop : FinishReason::kLength;
  event.finished = event.last_is_stop_token || !WantsToken();
}

bool Sequence::Absorb(std::int32_t tokens, SliceResult result, absl::Duration now) {
  if (!result.status.ok()) {
    Fail(std::move(result.status), now);
    return true;
  }
  degraded_tokens_ += result.degraded_tokens;
  prompt_scored_ += static_cast<std::int32_t>(result.scores.size());
  std::move(result.scores.begin(), result.scores.end(), std::back_inserter(prompt_logprobs_));
  if (request_.return_routed_experts) KeepRouting(tokens, result.routing);
  computed_ += tokens;
  if (computed_ < static_cast<std::int32_t>(tokens_.size())) return false;

  GenerationEvent& event = unreported_.emplace();
  event.prompt_logprobs = std::exchange(prompt_logprobs_, {});
  event.degraded_tokens = degraded_tokens_;
  if (WantsToken()) {
    Take(result, now, event);
  } else {
    event.finished = true;
    event.finish_reason = FinishReason::kLength;
  }
  if (event.finished) Finish(event, now);
  return event.finished;
}

void Sequence::Fail(absl::Status status, absl::Duration now) {
  GenerationEvent& event = unreported_.emplace();
  event.finished = true;
  event.status = std::move(status);
  Finish(event, now);
}

void Sequence::Report() {
  if (!unreported_) return;
  GenerationEvent event = *std::move(unreported_);
  unreported_.reset();
  sink_(std::move(event));
}

void Sequence::Finish(GenerationEvent& event, absl::Duration now) {
  if (request_.return_routed_experts && event.status.ok()) {
    routing_.resize((tokens_.size() - 1) * rules_.routing_width);
    event.routed_experts = std::move(routing_);
  }
  const absl::Duration started = std::min(started_, now);
  const absl::Duration first_token = std::min(first_token_, now);
  event.queue_time = started - submitted_;
  event.prefill_time = first_token - started;
  event.decode_time = now - first_token;
}

}  // namespace moesaic::router
