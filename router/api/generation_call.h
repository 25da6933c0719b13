#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "model/tokenizer.h"
#include "monitoring/usage_sink.h"
#include "router/api/call_metrics.h"
#include "router/api/front_end.h"
#include "router/api/text_assembler.h"
#include "router/scheduler/generation.h"
#include "router/scheduler/work_meter.h"
#include "router/trace/trace_store.h"

namespace moesaic::router {

/// What a call is to generate: one entry per choice, choices of a prompt side by side.
struct CallPlan {
  std::vector<GenerationRequest> generations;
  int choices_per_prompt = 1;
  std::vector<std::string> stop;
  /// Where the answers start; kContent: they are not divided.
  AnswerPart answer_start = AnswerPart::kContent;
  absl::Duration arrived;  ///< Monotonic.
  std::string usage_id;    ///< Of its usage record; unique for ever.
  std::string tenant = "default";
  std::string endpoint;  ///< As metrics name it.
  std::string request_id;
  monitoring::TraceContext trace_context;
  std::shared_ptr<RequestTrace> trace = {};  ///< Null: it is not traced.
  std::string logged_prompt;                 ///< For the log line; empty unless asked for.
};

/// What became of one choice since its last delta.
struct ChoiceDelta {
  int choice = 0;         ///< Index into CallPlan::generations.
  bool reasoned = false;  ///< The answer has reasoning, perhaps empty.
  std::string reasoning;  ///< Comes before the text.
  std::string text;
  /// Tokens generated, also those whose text is held back or cut off; only while it is open whether
  /// they are reasoning or content they wait.
  std::vector<std::int32_t> token_ids;
  /// So many of the token_ids, from the first, are reasoning: <think> to </think>, both counted.
  int reasoning_tokens = 0;
  std::vector<TokenLogprob> logprobs;         ///< One per token when asked for.
  std::vector<TokenLogprob> prompt_logprobs;  ///< In the first delta, when asked for.
  std::optional<FinishReason> finish_reason;  ///< In the choice's last delta.
  std::vector<std::int32_t> token_experts;    ///< When streamed: [token_ids, MoE layers, top-k].
  std::vector<std::int32_t> routed_experts;   ///< In the last delta, when asked for.
  int cached_prompt_tokens = 0;               ///< In the last delta.
  int degraded_tokens = 0;                    ///< Likewise; as in GenerationEvent.
};

/// Tokens of a whole call. A prompt counts once however many choices continue it.
struct CallUsage {
  int prompt_tokens = 0;
  int cached_prompt_tokens = 0;
  int completion_tokens = 0;
  int reasoning_tokens = 0;  ///< Among the completion_tokens.
};

/// Who answers the client. Called on the call's strand.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  /// Everything was accepted by the scheduler.
  virtual void OnAccepted() = 0;
  virtual void OnDelta(ChoiceDelta delta) = 0;
  /// The last call, unless the call is cancelled: then nothing more comes.
  virtual void OnEnd(const absl::Status& status, const CallUsage& usage) = 0;
};

/// One request in the front: submits its generations, turns their tokens into text on a strand, and
/// tells the observer. One that fails, fails the call. Lives until it has ended and the scheduler
/// has dropped its sinks. Start and the events run on the strand; Cancel is thread-safe.
class GenerationCall : public std::enable_shared_from_this<GenerationCall> {
 public:
  /// What all calls share; outlives them, or their strands' threads at least.
  struct Environment {
    Generator& generator;
    const model::Tokenizer& tokenizer;
    const base::Clock& clock;
    CallMetrics& metrics;
    monitoring::UsageSink* usage = nullptr;  ///< Null: nobody keeps it.
    std::string_view model = {};
    std::string_view router = {};
    std::function<std::string()> currency = {};  ///< Of costs; empty: nothing has a price.
    TraceStore* traces = nullptr;                ///< Where the call's trace ends, where it has one.
  };

  GenerationCall(const Environment& environment, std::shared_ptr<Strand> strand, CallPlan plan,
                 std::unique_ptr<CallObserver> observer);

  /// Submits everything, or reports the first refusal. On the strand, once.
  void Start();
  /// The client has gone: ends the generations and lets go of the observer. Idempotent.
  void Cancel();

 private:
  struct Choice {
    TextAssembler text;
    std::uint64_t handle = 0;
    bool submitted = false;
    bool finished = false;
    int prompt_tokens = 0;
    int cached_prompt_tokens = 0;
    int degraded_tokens = 0;
    int completion_tokens = 0;
    int reasoning_tokens = 0;
    std::optional<absl::Duration> first_token_at = {};
    std::optional<absl::Duration> last_token_at = {};
    ChoiceDelta delta = {};  ///< Being put together.
  };

  absl::Status Submit(int index);
  void OnEvent(int index, GenerationEvent event);
  ChoiceDelta MakeDelta(int index, GenerationEvent event);
  /// Adds the event's tokens and their text to the choice's delta.
  void AddTokens(GenerationEvent& event, Choice& choice);
  /// Completes the last delta of a choice.
  void Finish(GenerationEvent& event, Choice& choice);
  void RecordTokens(Choice& choice, int tokens);
  void RecordPhases(const GenerationEvent& event);
  CallUsage Usage() const;
  /// What the ledger is to know. `outcome`: how it ended.
  monitoring::UsageRecord MakeUsageRecord(const CallUsage& usage,
                                          monitoring::RequestOutcome outcome) const;
  /// Counts it, logs it, ends its trace, and gives it to the ledger when something was submitted.
  void ReportUsage(const absl::Status& status, const CallUsage& usage);
  void End(const absl::Status& status);
  void CancelGenerations();

  const Environment environment_;
  const std::shared_ptr<Strand> strand_;
  // The strand's.
  CallPlan plan_;
  std::unique_ptr<CallObserver> observer_;  // null once ended
  std::vector<Choice> choices_;
  int unfinished_ = 0;
  // Longest of the choices, of those that ran to their end.
  absl::Duration queue_time_;
  absl::Duration prefill_time_;
  absl::Duration decode_time_;
  const std::shared_ptr<WorkMeter> work_ = std::make_shared<WorkMeter>();
  bool refused_ = false;  ///< A choice was not taken into the queue.
};

}  // namespace moesaic::router
