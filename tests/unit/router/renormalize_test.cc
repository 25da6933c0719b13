#include "router/engine/renormalize.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace moesaic::router {
namespace {

using Floats = std::vector<float>;
using Ints = std::vector<std::int32_t>;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

/// Two tokens through three experts each, units of two experts, two columns. Token 0 touches units
/// 0 (experts 0 and 1) and 2 (expert 5), token 1 units 1, 2 and 3 (experts 3, 4 and 6).
class RenormalizeTest : public ::testing::Test {
 protected:
  Floats Run(const Ints& skipped) {
    Floats slots = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    for (const std::int32_t slot : skipped) slots[2 * slot] = slots[2 * slot + 1] = kNan;
    ExpertCall call;
    call.top_k = 3;
    call.hidden_size = 2;
    call.expert_ids = experts_;
    call.weights = weights_;
    call.slot_offsets = offsets_;
    call.slots = base::TensorView::Host(slots.data(), {5, 2});
    RenormalizeSkipped(call, /*unit_size=*/2, skipped);
    return slots;
  }

  Ints experts_ = {0, 1, 5, 3, 4, 6};
  Floats weights_ = {0.25f, 0.25f, 1.5f, 0.5f, 0.25f, 0.25f};
  const Ints offsets_ = {0, 2, 5};
};

TEST_F(RenormalizeTest, TheOthersShareTheWholeWeight) {
  // Token 0: 2 / 0.5. Token 1: 1 / 0.5.
  EXPECT_EQ(Run({1}), (Floats{4, 8, 0, 0, 5, 6, 7, 8, 9, 10}));
  EXPECT_EQ(Run({2}), (Floats{1, 2, 3, 4, 0, 0, 14, 16, 18, 20}));
  EXPECT_EQ(Run({1, 3, 4}), (Floats{4, 8, 0, 0, 10, 12, 0, 0, 0, 0}));
}

TEST_F(RenormalizeTest, NothingSkippedChangesNothing) {
  EXPECT_EQ(Run({}), (Floats{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
}

TEST_F(RenormalizeTest, WhereNoneAnsweredTheRoutedPartIsZero) {
  EXPECT_EQ(Run({0, 1}), (Floats{0, 0, 0, 0, 5, 6, 7, 8, 9, 10}));
}

TEST_F(RenormalizeTest, WeightsTooSmallToDivideByCountAsNone) {
  for (const float tiny : {0.0f, std::numeric_limits<float>::denorm_min()}) {
    weights_ = {tiny, tiny, 1.5f, 0.5f, 0.25f, 0.25f};
    EXPECT_EQ(Run({1}), (Floats{0, 0, 0, 0, 5, 6, 7, 8, 9, 10}));
  }
}

TEST_F(RenormalizeTest, EntriesThatTheGateSkippedCountNeitherWay) {
  experts_ = {-1, 1, 5, 3, 4, 6};
  weights_ = {9.0f, 0.5f, 1.5f, 0.5f, 0.25f, 0.25f};
  EXPECT_EQ(Run({1}), (Floats{4, 8, 0, 0, 5, 6, 7, 8, 9, 10}));
}

TEST(TokenOfSlotTest, TokensMayHaveNoSlots) {
  const Ints offsets = {0, 0, 2, 2, 3};
  EXPECT_EQ(TokenOfSlot(offsets, 0), 1);
  EXPECT_EQ(TokenOfSlot(offsets, 1), 1);
  EXPECT_EQ(TokenOfSlot(offsets, 2), 3);
}

}  // namespace
}  // namespace moesaic::router
