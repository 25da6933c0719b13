#include "router/api/generation_call.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "monitoring/registry.h"
#include "tests/unit/router/api/byte_tokenizer.h"
#include "tests/unit/router/api/fake_generator.h"

namespace moesaic::router {
namespace {

using monitoring::RequestOutcome;
using ::testing::ElementsAre;

/// What a call reported; read it after the front end has stopped.
struct Record final : monitoring::UsageSink {
  void Append(monitoring::UsageRecord record) override {
    EXPECT_TRUE(ends.empty()) << "the answer left before its usage was kept";
    usage_records.push_back(std::move(record));
  }

  std::vector<RequestOutcome> Outcomes() const {
    std::vector<RequestOutcome> outcomes;
    for (const monitoring::UsageRecord& record : usage_records) outcomes.push_back(record.outcome);
    return outcomes;
  }

  std::vector<monitoring::UsageRecord> usage_records;
  int accepted = 0;
  std::vector<ChoiceDelta> deltas;
  std::vector<absl::Status> ends;
  CallUsage usage;
  bool destroyed = false;

  std::string Text(int choice) const {
    std::string text;
    for (const ChoiceDelta& delta : deltas) {
      if (delta.choice == choice) text += delta.text;
    }
    return text;
  }
};

class RecordingObserver final : public CallObserver {
 public:
  explicit RecordingObserver(Record& record) : record_(record) {}
  ~RecordingObserver() override { record_.destroyed = true; }
  void OnAccepted() override { ++record_.accepted; }
  void OnDelta(ChoiceDelta delta) override { record_.deltas.push_back(std::move(delta)); }
  void OnEnd(const absl::Status& status, const CallUsage& usage) override {
    record_.ends.push_back(status);
    record_.usage = usage;
  }

 private:
  Record& record_;
};

class GenerationCallTest : public testing::Test {
 protected:
  std::shared_ptr<GenerationCall> Start(int choices, std::vector<std::string> stop = {},
                                        AnswerPart answer_start = AnswerPart::kContent) {
    CallPlan plan;
    plan.answer_start = answer_start;
    plan.choices_per_prompt = choices;
    plan.stop = std::move(stop);
    plan.usage_id = "id";
    plan.tenant = "t";
    plan.endpoint = "/e";
    plan.arrived = base::Clock::Real().Monotonic() - absl::Seconds(2);
    GenerationRequest generation;
    generation.prompt_token_ids = {1, 2, 3};
    plan.generations.assign(choices, generation);
    const std::shared_ptr<Strand> strand = front_end_.NewStrand();
    auto call = std::make_shared<GenerationCall>(
        GenerationCall::Environment{generator_, *tokenizer_, base::Clock::Real(), call_metrics_,
                                    &record_, "m", "r"},
        strand, std::move(plan), std::make_unique<RecordingObserver>(record_));
    strand->Post([call] { call->Start(); });
    return call;
  }

  FakeGenerator generator_;
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
  monitoring::Registry registry_;
  CallMetrics call_metrics_{registry_};
  Record record_;
  FrontEnd front_end_{2, 10};
};

TEST_F(GenerationCallTest, TurnsTokensIntoText) {
  generator_.AnswerWith("h\xc3\xa9!");
  Start(1);
  front_end_.Stop();
  EXPECT_EQ(record_.accepted, 1);
  EXPECT_EQ(record_.Text(0), "h\xc3\xa9!");
  ASSERT_THAT(record_.ends, ElementsAre(absl::OkStatus()));
  EXPECT_EQ(record_.deltas.back().finish_reason, FinishReason::kStop);
  EXPECT_THAT(record_.deltas.back().token_ids, ElementsAre(kEndToken));
  EXPECT_EQ(record_.usage.prompt_tokens, 3);
  EXPECT_EQ(record_.usage.completion_tokens, 5);
  EXPECT_EQ(registry_.Get(monitoring::metrics::kGeneratedTokensTotal, {"t"}).Value(), 5);
  EXPECT_EQ(call_metrics_.in_flight.Value(), 0);
  EXPECT_TRUE(record_.destroyed);
}

TEST_F(GenerationCallTest, ReportsWhatItUsedBeforeItsEnd) {
  Start(2);
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  generator_.Emit(0, Tokens("ab"));
  for (int choice : {0, 1}) {
    GenerationEvent event = Finished();
    event.queue_time = absl::Seconds(1);
    event.prefill_time = absl::Seconds(3 + choice);
    event.decode_time = absl::Seconds(6 - choice);
    generator_.Emit(choice, event);
  }
  front_end_.Stop();
  ASSERT_EQ(record_.usage_records.size(), 1u);
  const monitoring::UsageRecord& used = record_.usage_records[0];
  EXPECT_EQ(used.id, "id");
  EXPECT_EQ(used.tenant, "t");
  EXPECT_EQ(used.model, "m");
  EXPECT_EQ(used.router, "r");
  EXPECT_EQ(used.endpoint, "/e");
  EXPECT_EQ(used.outcome, RequestOutcome::kOk);
  EXPECT_EQ(used.prompt_tokens, 3);
  EXPECT_EQ(used.generated_tokens, record_.usage.completion_tokens);
  EXPECT_EQ(used.queue_seconds, 1);
  EXPECT_EQ(used.prefill_seconds, 4);
  EXPECT_EQ(used.decode_seconds, 6);
  ASSERT_TRUE(used.first_token_seconds.has_value());
  EXPECT_GE(*used.first_token_seconds, 2);
  EXPECT_GE(absl::ToDoubleSeconds(used.finished - used.started), 2);
}

TEST_F(GenerationCallTest, StopTextEndsTheChoiceAndCancelsIt) {
  Start(1, {"cd"});
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  generator_.Emit(0, Tokens("abc"));
  generator_.Emit(0, Tokens("def"));
  generator_.Emit(0, Tokens("late"));
  front_end_.Stop();
  EXPECT_EQ(record_.Text(0), "ab");
  ASSERT_THAT(record_.ends, ElementsAre(absl::OkStatus()));
  EXPECT_EQ(record_.deltas.back().finish_reason, FinishReason::kStop);
  EXPECT_EQ(record_.usage.completion_tokens, 4);  // "ef" never happened
  EXPECT_THAT(generator_.cancelled(), ElementsAre(0));
}

TEST_F(GenerationCallTest, TokensBehindAStopTextHaveNoExpertsEither) {
  Start(1, {"cd"});
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  GenerationEvent event = Tokens("abcdef");
  for (std::int32_t i = 0; i < 12; ++i) event.token_experts.push_back(i);
  generator_.Emit(0, event);
  front_end_.Stop();
  ASSERT_EQ(record_.deltas.size(), 1u);
  EXPECT_EQ(record_.deltas[0].token_ids.size(), 4u);
  EXPECT_THAT(record_.deltas[0].token_experts, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
}

TEST_F(GenerationCallTest, TheLastDeltaSaysHowManyTokensWereDegraded) {
  Start(2, {"cd"});
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  GenerationEvent event = Tokens("ab");
  event.degraded_tokens = 3;
  generator_.Emit(0, event);
  event = Finished();
  event.degraded_tokens = 4;
  generator_.Emit(0, event);
  event = Tokens("cd");  // ends by a stop text
  event.degraded_tokens = 7;
  generator_.Emit(1, event);
  front_end_.Stop();
  ASSERT_EQ(record_.deltas.size(), 3u);
  EXPECT_EQ(record_.deltas[0].degraded_tokens, 0);
  EXPECT_EQ(record_.deltas[1].degraded_tokens, 4);
  EXPECT_EQ(record_.deltas[2].degraded_tokens, 7);
}

TEST_F(GenerationCallTest, TokensWaitUntilTheirPartIsKnown) {
  Start(1, {}, AnswerPart::kUndecided);
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  for (const char* piece : {"\n<thi", "nk>", "a</think", ">\nb", "c"}) {
    generator_.Emit(0, Tokens(piece));
  }
  generator_.Emit(0, Finished());
  front_end_.Stop();
  ASSERT_EQ(record_.deltas.size(), 6u);
  EXPECT_TRUE(record_.deltas[0].token_ids.empty());
  EXPECT_EQ(record_.deltas[1].token_ids, ByteIds("\n<think>"));
  EXPECT_EQ(record_.deltas[1].reasoning_tokens, 8);
  EXPECT_EQ(record_.deltas[2].reasoning, "a");
  EXPECT_EQ(record_.deltas[3].token_ids, ByteIds(">\nb"));
  EXPECT_EQ(record_.deltas[3].reasoning_tokens, 1);
  EXPECT_EQ(record_.deltas[3].text, "b");
  EXPECT_EQ(record_.deltas[4].reasoning_tokens, 0);
  EXPECT_EQ(record_.Text(0), "bc");
  EXPECT_TRUE(record_.deltas.back().reasoned);
  EXPECT_EQ(record_.usage.reasoning_tokens, 17);
  EXPECT_EQ(record_.usage.completion_tokens, 20);
}

TEST_F(GenerationCallTest, WhatWasNoMarkerIsContent) {
  Start(1, {}, AnswerPart::kUndecided);
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  generator_.Emit(0, Tokens("\n<th"));
  generator_.Emit(0, Finished(FinishReason::kLength));
  front_end_.Stop();
  EXPECT_EQ(record_.Text(0), "\n<th");
  EXPECT_EQ(record_.deltas.back().token_ids, ByteIds("\n<th"));
  EXPECT_EQ(record_.deltas.back().reasoning_tokens, 0);
  EXPECT_FALSE(record_.deltas.back().reasoned);
  EXPECT_EQ(record_.deltas.back().finish_reason, FinishReason::kLength);
  EXPECT_EQ(record_.usage.reasoning_tokens, 0);
}

TEST_F(GenerationCallTest, ChoicesThinkOnTheirOwn) {
  Start(2, {"stop"}, AnswerPart::kReasoning);
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  generator_.Emit(0, Tokens("stop"));
  generator_.Emit(1, Tokens("a</think>b"));
  generator_.Emit(0, Finished(FinishReason::kLength));
  generator_.Emit(1, Tokens("stop"));
  front_end_.Stop();
  ASSERT_THAT(record_.ends, ElementsAre(absl::OkStatus()));
  EXPECT_EQ(record_.deltas[0].reasoning, "stop");
  EXPECT_EQ(record_.Text(0), "");
  EXPECT_EQ(record_.deltas[2].finish_reason, FinishReason::kLength);
  EXPECT_EQ(record_.Text(1), "b");
  EXPECT_EQ(record_.deltas[3].finish_reason, FinishReason::kStop);
  EXPECT_EQ(record_.usage.reasoning_tokens, 4 + 9);
  EXPECT_THAT(generator_.cancelled(), ElementsAre(1));
}

TEST_F(GenerationCallTest, ChoicesEndOnTheirOwn) {
  Start(2);
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  generator_.Emit(1, Tokens("b"));
  generator_.Emit(1, Finished());
  generator_.Emit(0, Tokens("a"));
  generator_.Emit(0, Finished(FinishReason::kLength));
  front_end_.Stop();
  EXPECT_EQ(record_.Text(0), "a");
  EXPECT_EQ(record_.Text(1), "b");
  EXPECT_EQ(record_.deltas.back().finish_reason, FinishReason::kLength);
  EXPECT_EQ(record_.usage.prompt_tokens, 3);
  EXPECT_EQ(record_.usage.completion_tokens, 2);
}

TEST_F(GenerationCallTest, OneFailureFailsTheCall) {
  Start(2);
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  generator_.Emit(0, Tokens("a"));
  generator_.Emit(1, Failed(absl::InternalError("non-finite logits")));
  generator_.Emit(0, Finished());
  front_end_.Stop();
  EXPECT_THAT(record_.ends, ElementsAre(absl::InternalError("non-finite logits")));
  EXPECT_THAT(record_.Outcomes(), ElementsAre(RequestOutcome::kFailed));
  EXPECT_THAT(generator_.cancelled(), ElementsAre(0));
}

TEST_F(GenerationCallTest, RefusalCancelsWhatWasTaken) {
  int submitted = 0;
  generator_.SetScript([&](const GenerationRequest&, Generator::Sink&) {
    return ++submitted < 3 ? absl::OkStatus() : absl::ResourceExhaustedError("queue full");
  });
  Start(3);
  front_end_.Stop();
  EXPECT_EQ(record_.accepted, 0);
  EXPECT_THAT(record_.ends, ElementsAre(absl::ResourceExhaustedError("queue full")));
  EXPECT_THAT(record_.Outcomes(), ElementsAre(RequestOutcome::kRefused));
  EXPECT_THAT(generator_.cancelled(), ElementsAre(0, 1));
}

TEST_F(GenerationCallTest, WhatNeverRanUsedNothing) {
  generator_.SetScript([](const GenerationRequest&, Generator::Sink&) {
    return absl::ResourceExhaustedError("queue full");
  });
  Start(1);
  front_end_.Stop();
  EXPECT_EQ(record_.ends.size(), 1u);
  EXPECT_THAT(record_.usage_records, testing::IsEmpty());
}

TEST_F(GenerationCallTest, CancelEndsSilently) {
  const std::shared_ptr<GenerationCall> call = Start(2);
  ASSERT_TRUE(generator_.AwaitSubmitted(2));
  generator_.Emit(0, Finished());
  call->Cancel();
  call->Cancel();
  generator_.Emit(1, Tokens("x"));
  front_end_.Stop();
  EXPECT_TRUE(record_.ends.empty());
  EXPECT_THAT(record_.Outcomes(), ElementsAre(RequestOutcome::kCancelled));
  EXPECT_TRUE(record_.destroyed);
  EXPECT_THAT(generator_.cancelled(), ElementsAre(1));
  EXPECT_EQ(call_metrics_.in_flight.Value(), 0);
}

}  // namespace
}  // namespace moesaic::router
