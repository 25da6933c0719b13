#include "shard/ffn_plan.h"

#include "base/compute_pool.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

using placement::UnitKey;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Assignments of one work; must outlive the plan's making.
struct Lists {
  std::vector<std::uint32_t> rows;
  std::vector<std::uint32_t> experts;
  std::vector<float> weights;
};

Work MakeWork(const Lists& lists, std::uint32_t row_count) {
  Work work;
  work.dispatch.layer = base::LayerId(1);
  work.dispatch.row_count = row_count;
  work.dispatch.row_index = lists.rows;
  work.dispatch.expert_id = lists.experts;
  work.dispatch.weight = lists.weights;
  return work;
}

class FfnPlanTest : public ::testing::Test {
 protected:
  /// Units of four experts; unit 2 (experts 8 to 11) of layer 1 is not held.
  FfnPlanTest() { EXPECT_TRUE(store_->Load({Unit(0), Unit(1), Unit(3)}).ok()); }
  static UnitKey Unit(std::uint32_t unit) { return {base::LayerId(1), base::UnitId(unit)}; }
  FfnPlan Plan(absl::Span<const Work> works) {
    return PlanBatch(works, *held_(), store_->topology());
  }
  std::shared_ptr<const HeldUnits> held_() { return current_ = store_->Current(); }

  base::ComputePool pool_{1};
  std::unique_ptr<model::Checkpoint> checkpoint_ = OpenTinyCheckpoint();
  std::unique_ptr<ExpertStore> store_ = *ExpertStore::Create(
      *checkpoint_, {.unit_size = 4, .memory_bytes = 1 << 30, .compute_dtype = base::DType::kF32},
      pool_);
  std::shared_ptr<const HeldUnits> current_;
};

TEST_F(FfnPlanTest, GroupsByExpertAndSumsPerUnit) {
  // Row 0: experts 0 and 2 of unit 0, 5 of unit 1. Row 1: expert 2 of unit 0, 12 of unit 3.
  const Lists lists{{0, 0, 0, 1, 1}, {0, 2, 5, 2, 12}, {0.1f, 0.2f, 0.3f, 0.4f, 0.5f}};
  const std::vector<Work> works = [&] {
    std::vector<Work> w;
    w.push_back(MakeWork(lists, 2));
    return w;
  }();
  const FfnPlan plan = Plan(works);
  EXPECT_EQ(plan.rows, 2u);
  EXPECT_THAT(plan.slot_row, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(plan.slot_unit, ElementsAre(0, 1, 0, 3));
  ASSERT_THAT(plan.groups, SizeIs(4));  // experts 0, 2, 5, 12
  EXPECT_THAT(plan.groups[0].entries, SizeIs(1));
  ASSERT_THAT(plan.groups[1].entries, SizeIs(2));
  const kernels::ExpertEntry& second = plan.groups[1].entries[0];
  EXPECT_EQ(second.slot, 0);
  EXPECT_FALSE(second.first) << "expert 0 came first in this slot";
  EXPECT_EQ(second.weight, 0.2f);
  const kernels::ExpertEntry& other_row = plan.groups[1].entries[1];
  EXPECT_EQ(other_row.row, 1);
  EXPECT_EQ(other_row.slot, 2);
  EXPECT_TRUE(other_row.first);
  const UnitWeights* unit = current_->Find(store_->topology().NumberOf(Unit(0)));
  EXPECT_EQ(plan.groups[1].gate_up, &unit->experts[2].gate_up);
}

TEST_F(FfnPlanTest, StacksWorksAndNamesWhatIsMissing) {
  const Lists first{{0, 1}, {3, 9}, {1, 1}};
  const Lists second{{0, 0, 0}, {8, 9, 15}, {1, 1, 1}};
  std::vector<Work> works;
  works.push_back(MakeWork(first, 5));
  works.push_back(MakeWork(second, 1));
  const FfnPlan plan = Plan(works);
  EXPECT_EQ(plan.rows, 6u);
  ASSERT_THAT(plan.parts, SizeIs(2));
  EXPECT_THAT(plan.parts[0].missing_units, ElementsAre(2));
  EXPECT_THAT(plan.parts[1].missing_units, ElementsAre(2));
  EXPECT_EQ(plan.parts[0].slot_count, 1u);
  EXPECT_EQ(plan.parts[1].row_begin, 5u);
  EXPECT_EQ(plan.parts[1].slot_begin, 1u);
  EXPECT_EQ(plan.parts[1].slot_count, 1u);
  ASSERT_THAT(plan.groups, SizeIs(2));
  EXPECT_EQ(plan.groups[1].entries[0].row, 5) << "rows are numbered over the batch";
}

TEST_F(FfnPlanTest, NothingHeldGivesNoSlots) {
  const Lists lists{{0}, {8}, {1}};
  std::vector<Work> works;
  works.push_back(MakeWork(lists, 1));
  const FfnPlan plan = Plan(works);
  EXPECT_EQ(plan.slots(), 0u);
  EXPECT_THAT(plan.groups, IsEmpty());
  EXPECT_THAT(plan.parts[0].missing_units, ElementsAre(2));
}

}  // namespace
}  // namespace moesaic::shard
