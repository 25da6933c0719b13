#include "router/api/generation_call.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/status_macros.h"
#include "router/api/request_log.h"

namespace moesaic::router {
namespace {

void Append(const AnswerText& text, ChoiceDelta& delta) {
  delta.reasoning += text.reasoning;
  delta.text += text.content;
}

/// How a call ended. `answered`: somebody was still there to be told.
monitoring::RequestOutcome OutcomeOf(const absl::Status& status, bool answered) {
  if (!answered) return monitoring::RequestOutcome::kCancelled;
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return monitoring::RequestOutcome::kOk;
    case absl::StatusCode::kCancelled:
      return monitoring::RequestOutcome::kCancelled;
    case absl::StatusCode::kDeadlineExceeded:
      return monitoring::RequestOutcome::kDeadline;
    case absl::StatusCode::kResourceExhausted:
      return monitoring::RequestOutcome::kRefused;
    default:
      return monitoring::RequestOutcome::kFailed;
  }
}

}  // namespace

GenerationCall::GenerationCall(const Environment& environment, std::shared_ptr<Strand> strand,
                               CallPlan plan, std::unique_ptr<CallObserver> observer)
    : environment_(environment),
      strand_(std::move(strand)),
      plan_(std::move(plan)),
      observer_(std::move(observer)),
      unfinished_(static_cast<int>(plan_.generations.size())) {
  choices_.reserve(plan_.generations.size());
  for (const GenerationRequest& generation : plan_.generations) {
    Choice choice{TextAssembler(environment_.tokenizer, plan_.stop, generation.min_tokens,
                                plan_.answer_start)};
    choice.prompt_tokens = static_cast<int>(generation.prompt_token_ids.size());
    choices_.push_back(std::move(choice));
  }
  environment_.metrics.in_flight.Add(1);
}

void GenerationCall::Start() {
  for (int index = 0; index < static_cast<int>(choices_.size()); ++index) {
    if (!observer_) return;
    const absl::Status status = Submit(index);
    if (status.ok()) continue;
    refused_ = true;
    environment_.metrics.Refused(status);
    return End(status);
  }
  plan_.generations.clear();
  plan_.generations.shrink_to_fit();
  observer_->OnAccepted();
}

absl::Status GenerationCall::Submit(int index) {
  plan_.generations[index].meter = work_;
  MOESAIC_ASSIGN_OR_RETURN(
      choices_[index].handle,
      environment_.generator.Submit(std::move(plan_.generations[index]),
                                    [self = shared_from_this(), index](GenerationEvent event) {
                                      self->strand_->Post(
                                          [self, index, event = std::move(event)]() mutable {
                                            self->OnEvent(index, std::move(event));
                                          });
                                    }));
  choices_[index].submitted = true;
  return absl::OkStatus();
}

void GenerationCall::OnEvent(int index, GenerationEvent event) {
  if (!observer_ || choices_[index].finished) return;
  if (event.finished && !event.status.ok()) {
    choices_[index].finished = true;
    RecordPhases(event);
    return End(event.status);
  }
  ChoiceDelta delta = MakeDelta(index, std::move(event));
  const bool finished = delta.finish_reason.has_value();
  observer_->OnDelta(std::move(delta));
  if (finished && --unfinished_ == 0) End(absl::OkStatus());
}

ChoiceDelta GenerationCall::MakeDelta(int index, GenerationEvent event) {
  Choice& choice = choices_[index];
  choice.cached_prompt_tokens = std::max(choice.cached_prompt_tokens, event.cached_prompt_tokens);
  choice.degraded_tokens = std::max(choice.degraded_tokens, event.degraded_tokens);
  RecordTokens(choice, static_cast<int>(event.token_ids.size()));

  AddTokens(event, choice);
  if (event.finished || choice.text.stopped()) Finish(event, choice);
  ChoiceDelta delta;
  if (choice.finished || choice.text.part() != AnswerPart::kUndecided) {
    delta = std::exchange(choice.delta, {});
    delta.reasoned = choice.text.reasoned();
    if (!delta.reasoned) delta.reasoning_tokens = 0;
    choice.reasoning_tokens += delta.reasoning_tokens;
  }
  delta.choice = index;
  return delta;
}

void GenerationCall::AddTokens(GenerationEvent& event, Choice& choice) {
  ChoiceDelta& delta = choice.delta;
  std::move(event.prompt_logprobs.begin(), event.prompt_logprobs.end(),
            std::back_inserter(delta.prompt_logprobs));
  const std::size_t experts_per_token =
      event.token_ids.empty() ? 0 : event.token_experts.size() / event.token_ids.size();
  std::size_t used = 0;
  while (used < event.token_ids.size() && !choice.text.stopped()) {
    const bool is_stop_token = event.last_is_stop_token && used + 1 == event.token_ids.size();
    if (choice.text.part() != AnswerPart::kContent) ++delta.reasoning_tokens;
    if (!is_stop_token) Append(choice.text.Push(event.token_ids[used]), delta);
    ++used;
  }
  // Tokens behind a stop text never happened, as far as the client can see.
  event.logprobs.resize(std::min(used, event.logprobs.size()));
  choice.completion_tokens += static_cast<int>(used);
  delta.token_ids.insert(delta.token_ids.end(), event.token_ids.begin(),
                         event.token_ids.begin() + static_cast<std::ptrdiff_t>(used));
  std::move(event.logprobs.begin(), event.logprobs.end(), std::back_inserter(delta.logprobs));
  delta.token_experts.insert(
      delta.token_experts.end(), event.token_experts.begin(),
      event.token_experts.begin() + static_cast<std::ptrdiff_t>(used * experts_per_token));
}

void GenerationCall::Finish(GenerationEvent& event, Choice& choice) {
  ChoiceDelta& delta = choice.delta;
  delta.finish_reason = FinishReason::kStop;
  if (!choice.text.stopped()) {
    Append(choice.text.Finish(), delta);
    if (!choice.text.stopped()) delta.finish_reason = event.finish_reason;
  }
  choice.finished = true;
  delta.routed_experts = std::move(event.routed_experts);
  delta.cached_prompt_tokens = choice.cached_prompt_tokens;
  delta.degraded_tokens = choice.degraded_tokens;
  if (event.finished) {
    RecordPhases(event);
  } else {
    environment_.generator.Cancel(choice.handle);
  }
}

void GenerationCall::RecordTokens(Choice& choice, int tokens) {
  if (tokens == 0) return;
  const absl::Duration now = environment_.clock.Monotonic();
  if (!choice.last_token_at) {
    choice.first_token_at = now;
    environment_.metrics.FirstToken(absl::ToDoubleSeconds(now - plan_.arrived));
  } else {
    environment_.metrics.NextTokens(absl::ToDoubleSeconds(now - *choice.last_token_at) / tokens,
                                    tokens);
  }
  choice.last_token_at = now;
}

void GenerationCall::RecordPhases(const GenerationEvent& event) {
  queue_time_ = std::max(queue_time_, event.queue_time);
  prefill_time_ = std::max(prefill_time_, event.prefill_time);
  decode_time_ = std::max(decode_time_, event.decode_time);
  environment_.metrics.queue_seconds.Observe(absl::ToDoubleSeconds(event.queue_time));
  environment_.metrics.prefill_seconds.Observe(absl::ToDoubleSeconds(event.prefill_time));
  environment_.metrics.decode_seconds.Observe(absl::ToDoubleSeconds(event.decode_time));
}

CallUsage GenerationCall::Usage() const {
  CallUsage usage;
  for (std::size_t i = 0; i < choices_.size(); ++i) {
    const Choice& choice = choices_[i];
    usage.completion_tokens += choice.completion_tokens;
    usage.reasoning_tokens += choice.reasoning_tokens;
    if (i % plan_.choices_per_prompt != 0) continue;
    usage.prompt_tokens += choice.prompt_tokens;
    usage.cached_prompt_tokens += choice.cached_prompt_tokens;
  }
  return usage;
}

monitoring::UsageRecord GenerationCall::MakeUsageRecord(const CallUsage& usage,
                                                        monitoring::RequestOutcome outcome) const {
  monitoring::UsageRecord record;
  record.id = plan_.usage_id;
  record.trace_id = monitoring::TraceIdText(plan_.trace_context.trace_id);
  record.tenant = plan_.tenant;
  record.model = std::string(environment_.model);
  record.router = std::string(environment_.router);
  record.endpoint = plan_.endpoint;
  record.finished = environment_.clock.Now();
  record.started = record.finished - (environment_.clock.Monotonic() - plan_.arrived);
  record.outcome = outcome;
  record.prompt_tokens = usage.prompt_tokens;
  record.cached_prompt_tokens = usage.cached_prompt_tokens;
  record.generated_tokens = usage.completion_tokens;
  record.queue_seconds = absl::ToDoubleSeconds(queue_time_);
  record.prefill_seconds = absl::ToDoubleSeconds(prefill_time_);
  record.decode_seconds = absl::ToDoubleSeconds(decode_time_);
  const SliceWork work = work_->Total().work;
  record.prefill = work.prefill;
  record.decode = work.decode;
  record.currency = environment_.currency ? environment_.currency() : "";
  for (const Choice& choice : choices_) {
    if (!choice.first_token_at) continue;
    const double seconds = absl::ToDoubleSeconds(*choice.first_token_at - plan_.arrived);
    record.first_token_seconds = std::min(record.first_token_seconds.value_or(seconds), seconds);
  }
  return record;
}

void GenerationCall::ReportUsage(const absl::Status& status, const CallUsage& usage) {
  const bool computed = std::any_of(choices_.begin(), choices_.end(),
                                    [](const Choice& choice) { return choice.submitted; });
  monitoring::UsageRecord record =
      MakeUsageRecord(usage, refused_ ? monitoring::RequestOutcome::kRefused
                                      : OutcomeOf(status, observer_ != nullptr));
  environment_.metrics.Ended(record);
  LogRequest({.request_id = plan_.request_id,
              .usage = record,
              .status = status,
              .steps = work_->Total().steps,
              .prompt = plan_.logged_prompt});
  if (environment_.traces != nullptr) {
    environment_.traces->End(plan_.trace, record, absl::StatusCodeToString(status.code()));
  }
  if (environment_.usage != nullptr && computed) environment_.usage->Append(std::move(record));
}

void GenerationCall::End(const absl::Status& status) {
  CancelGenerations();
  const CallUsage usage = Usage();
  CallMetrics& metrics = environment_.metrics;
  metrics.in_flight.Add(-1);
  metrics.request_duration.Observe(
      absl::ToDoubleSeconds(environment_.clock.Monotonic() - plan_.arrived));
  ReportUsage(status, usage);
  // Let go first: the observer leads to the connection, whose callback leads back here.
  std::unique_ptr<CallObserver> observer = std::move(observer_);
  if (observer) observer->OnEnd(status, usage);
}

void GenerationCall::Cancel() {
  strand_->Post([self = shared_from_this()] {
    if (!self->observer_) return;
    self->observer_ = nullptr;
    self->End(absl::OkStatus());
  });
}

void GenerationCall::CancelGenerations() {
  for (Choice& choice : choices_) {
    if (choice.submitted && !std::exchange(choice.finished, true)) {
      environment_.generator.Cancel(choice.handle);
    }
  }
}

}  // namespace moesaic::router
