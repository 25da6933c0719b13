#include "placement/explain_changes.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_problems.h"

namespace moesaic::placement {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(ExplainChanges, ALineEachTheWeightiestLayerFirst) {
  auto problem = Problem(2, 4, 1, {Shard(7, 9, "", {0, 1, 2, 3, 4, 5, 6, 7}), Shard(8, 9)});
  problem.layer_numbers = {3, 4};
  problem.loads = Rows({1, 1, 1, 1, 8, 4, 2, 2});
  const TimeModel model(problem);
  const FailureDomains domains(problem.shards);
  const PlacementPlan before(problem, model, domains);
  PlacementPlan after = before;
  const std::vector<LayerChange> changes = {
      {.layer = 0,
       .us_before = 4,
       .us_after = 3,
       .steps = {{.kind = PlacementStep::Kind::kMove, .unit = 1, .from = 0, .to = 1}}},
      {.layer = 1,
       .us_before = 16,
       .us_after = 8,
       .steps = {
           {.kind = PlacementStep::Kind::kReplicate, .unit = 4, .from = 0, .to = 1},
           {.kind = PlacementStep::Kind::kExchange, .unit = 5, .from = 0, .to = 1, .other = 6}}}};
  ReasonList reasons;
  ExplainChanges(before, after, changes, reasons);
  EXPECT_THAT(
      std::move(reasons).Take(64),
      ElementsAre(
          HasSubstr("3 changes, 1 of them further replicas; a step is predicted to take 20 us"),
          "layer 4 unit 0: one more replica, on shard 8: 50.0 % of the layer's rows, shard 7 was "
          "the slowest of its layer",
          HasSubstr("layer 4 unit 1: from shard 7 to shard 8, against unit 2"),
          HasSubstr("layer 3 unit 1: from shard 7 to shard 8: 25.0 %")));
}

TEST(ExplainChanges, ListsAreCutAndTheRestCounted) {
  ReasonList reasons;
  for (int i = 0; i < 5; ++i) reasons.Add("reason");
  EXPECT_THAT(ReasonList(reasons).Take(5), SizeIs(5));
  EXPECT_THAT(std::move(reasons).Take(3), ElementsAre("reason", "reason", "and 3 more"));
}

TEST(ExplainChanges, ALayersChangesBecomeOne) {
  const PlacementStep step;
  const auto merged = MergeByLayer({{.layer = 2, .us_before = 9, .us_after = 7, .steps = {step}},
                                    {.layer = 1, .us_before = 5, .us_after = 4, .steps = {step}},
                                    {.layer = 2, .us_before = 7, .us_after = 6, .steps = {step}}});
  ASSERT_THAT(merged, SizeIs(2));
  EXPECT_EQ(merged[1].layer, 2u);
  EXPECT_DOUBLE_EQ(merged[1].us_before, 9);
  EXPECT_DOUBLE_EQ(merged[1].us_after, 6);
  EXPECT_THAT(merged[1].steps, SizeIs(2));
}

}  // namespace
}  // namespace moesaic::placement
