#include "router/dispatch/dispatch_plan.h"

#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rpc/dispatch_wire.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;

/// `tokens` tokens that each go through experts 0 and 1, in units of one expert.
struct PlainCall {
  explicit PlainCall(int tokens, int hidden_size) {
    for (int t = 0; t < tokens; ++t) {
      experts.insert(experts.end(), {0, 1});
      weights.insert(weights.end(), {0.5f, 0.5f});
      offsets.push_back(2 * t);
    }
    offsets.push_back(2 * tokens);
    call.top_k = 2;
    call.hidden_size = hidden_size;
    call.expert_ids = experts;
    call.weights = weights;
    call.slot_offsets = offsets;
  }
  std::vector<std::int32_t> experts;
  std::vector<float> weights;
  std::vector<std::int32_t> offsets;
  ExpertCall call;
};

TEST(DispatchPlanTest, EachRowOnceWithAllItsSlots) {
  const PlainCall plain(3, 8);
  const ExpertCallState state(1, plain.call, 1, nullptr);
  const auto messages = CutIntoMessages(state, {0, 1, 5}, rpc::WireDtype::kF32);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_THAT(messages[0].tokens, ElementsAre(0, 2));
  EXPECT_THAT(messages[0].slots, ElementsAre(0, 1, 5));
  EXPECT_GT(messages[0].bytes, 2u * 8 * 4);
  EXPECT_TRUE(CutIntoMessages(state, {}, rpc::WireDtype::kF32).empty());
}

TEST(DispatchPlanTest, LargeDispatchesAreCutByRows) {
  constexpr int kTokens = 100;
  const PlainCall plain(kTokens, 7168);
  const ExpertCallState state(1, plain.call, 1, nullptr);
  std::vector<std::int32_t> slots(2 * kTokens);
  std::iota(slots.begin(), slots.end(), 0);
  for (const auto dtype : {rpc::WireDtype::kF32, rpc::WireDtype::kBF16, rpc::WireDtype::kFp8E4M3}) {
    const auto messages = CutIntoMessages(state, slots, dtype);
    EXPECT_EQ(messages.size(), dtype == rpc::WireDtype::kF32    ? 3u
                               : dtype == rpc::WireDtype::kBF16 ? 2u
                                                                : 1u);
    std::int32_t next_token = 0;
    for (const InFlightDispatch& message : messages) {
      EXPECT_LE(message.bytes, rpc::kMaxMessageBytes);
      EXPECT_EQ(message.slots.size(), 2 * message.tokens.size());
      for (const std::int32_t token : message.tokens) EXPECT_EQ(token, next_token++);
    }
    EXPECT_EQ(next_token, kTokens);
  }
}

}  // namespace
}  // namespace moesaic::router
