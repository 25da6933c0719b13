#include "router/scheduler/batch_former.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace moesaic::router {

void PrintTo(const StepPlan::Slice& slice, std::ostream* out) {
  *out << "{" << slice.index << ", " << slice.tokens << " tokens, +" << slice.new_blocks << "}";
}

namespace {

using Slices = std::vector<StepPlan::Slice>;
using Indices = std::vector<std::int32_t>;

/// Blocks hold 4 tokens, steps 8, and 4 sequences run.
SchedulingSnapshot Snapshot(std::vector<SequenceSnapshot> running,
                            std::vector<SequenceSnapshot> waiting, std::int32_t free_blocks) {
  return {.running = std::move(running),
          .waiting = std::move(waiting),
          .free_blocks = free_blocks,
          .block_tokens = 4,
          .max_step_tokens = 8,
          .max_num_seqs = 4};
}

/// A decode of a sequence with `tokens` tokens, all but the last in the cache.
SequenceSnapshot Decode(std::int32_t tokens) {
  return {
      .prompt_length = 1, .target = tokens, .computed = tokens - 1, .blocks = (tokens - 1 + 3) / 4};
}

SequenceSnapshot Waiting(std::int32_t tokens) {
  return {.prompt_length = tokens, .target = tokens};
}

/// The same with room for `tokens` positions beside decodes.
SchedulingSnapshot Beside(std::int32_t tokens, SchedulingSnapshot snapshot) {
  snapshot.max_beside_decodes = tokens;
  return snapshot;
}

struct Case {
  std::string name;
  SchedulingSnapshot snapshot;
  Slices slices;
  Indices preempted;
  std::int32_t admitted = 0;
};

const Case kCases[] = {
    {"NothingToDo", Snapshot({}, {}, 9), {}, {}, 0},
    {"AdmitsAWholePrompt", Snapshot({}, {Waiting(5)}, 9), {{0, 5, 2}}, {}, 1},
    {"CutsAPromptAtTheBudget", Snapshot({}, {Waiting(20)}, 9), {{0, 8, 2}}, {}, 1},
    {"GoesOnWithACutPrompt",
     Snapshot({{.prompt_length = 20, .target = 20, .computed = 8, .blocks = 2}}, {}, 9),
     {{0, 8, 2}},
     {},
     0},
    {"DecodesBeforeOlderPrefill",
     Snapshot({{.prompt_length = 20, .target = 20, .computed = 8, .blocks = 2}, Decode(6)}, {}, 9),
     {{1, 1, 0}, {0, 7, 2}},
     {},
     0},
    {"ADecodeTakesABlockWhenItsLastIsFull", Snapshot({Decode(5)}, {}, 3), {{0, 1, 1}}, {}, 0},
    {"FillsTheBudgetWithWaitingPrompts",
     Snapshot({Decode(3)}, {Waiting(3), Waiting(9), Waiting(1)}, 9),
     {{0, 1, 0}, {1, 3, 1}, {2, 4, 1}},
     {},
     2},
    {"PromptsBesideDecodesHaveABudgetOfTheirOwn",
     Beside(4, Snapshot({Decode(3), Decode(3)}, {Waiting(3), Waiting(9)}, 9)),
     {{0, 1, 0}, {1, 1, 0}, {2, 3, 1}, {3, 1, 1}},
     {},
     2},
    {"ButNotWhereManyMoreWantToBegin",
     Beside(4, Snapshot({Decode(3)}, {Waiting(3), Waiting(9), Waiting(1)}, 9)),
     {{0, 1, 0}, {1, 3, 1}, {2, 4, 1}},
     {},
     2},
    {"ThoseWithoutAPlaceDoNotCount",
     Beside(4, Snapshot({Decode(3), Decode(3), Decode(3)},
                        {Waiting(9), Waiting(3), Waiting(3), Waiting(3)}, 9)),
     {{0, 1, 0}, {1, 1, 0}, {2, 1, 0}, {3, 4, 1}},
     {},
     1},
    {"PromptsAloneDoNot", Beside(4, Snapshot({}, {Waiting(9)}, 9)), {{0, 8, 2}}, {}, 1},
    {"NeverMoreSequencesThanAllowed",
     Snapshot({Decode(2), Decode(2), Decode(2)}, {Waiting(1), Waiting(1)}, 9),
     {{0, 1, 0}, {1, 1, 0}, {2, 1, 0}, {3, 1, 1}},
     {},
     1},
    {"WaitsUntilThePromptFitsWhole", Snapshot({Decode(2)}, {Waiting(20)}, 4), {{0, 1, 0}}, {}, 0},
    {"DoesNotLetAShorterOneOvertake",
     Snapshot({Decode(2)}, {Waiting(20), Waiting(1)}, 4),
     {{0, 1, 0}},
     {},
     0},
    {"KeepsWhatARunningPrefillStillNeeds",
     Snapshot({{.prompt_length = 20, .target = 20, .computed = 4, .blocks = 1}}, {Waiting(4)}, 4),
     {{0, 8, 2}},
     {},
     0},
    {"PreemptsTheYoungestForADecode",
     Snapshot({Decode(5), Decode(6), Decode(7)}, {}, 0),
     {{0, 1, 1}, {1, 1, 0}},
     {2},
     0},
    {"PreemptsItselfWhenItIsTheYoungest",
     Snapshot({Decode(6), Decode(5)}, {}, 0),
     {{0, 1, 0}},
     {1},
     0},
    {"AdmitsNobodyWhenItPreempts",
     Snapshot({Decode(5), Decode(17)}, {Waiting(1)}, 0),
     {{0, 1, 1}},
     {1},
     0},
    {"PrefillTakesTheBlocksThereAre",
     Snapshot({Decode(3), {.prompt_length = 20, .target = 20, .computed = 4, .blocks = 1}}, {}, 1),
     {{0, 1, 0}, {1, 4, 1}},
     {},
     0},
    {"RecomputesGeneratedPositionsInChunks",
     Snapshot({}, {{.prompt_length = 3, .target = 12}}, 9),
     {{0, 8, 2}},
     {},
     1},
};

class BatchFormerTest : public ::testing::TestWithParam<Case> {};

TEST_P(BatchFormerTest, Forms) {
  const StepPlan plan = FormBatch(GetParam().snapshot);
  EXPECT_EQ(plan.slices, GetParam().slices);
  EXPECT_EQ(plan.preempted, GetParam().preempted);
  EXPECT_EQ(plan.admitted, GetParam().admitted);
}

INSTANTIATE_TEST_SUITE_P(Table, BatchFormerTest, ::testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace moesaic::router
