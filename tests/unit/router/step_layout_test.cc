#include "router/engine/step_layout.h"

#include <gtest/gtest.h>

#include <vector>

namespace moesaic::router {
namespace {

using Ints = std::vector<std::int32_t>;

const Ints kTokens = {10, 11, 12, 13, 14, 15};
const Ints kTable = {7, 3, 9};

StepSlice Slice(std::int32_t first, std::size_t tokens, std::int32_t prompt_length) {
  StepSlice slice;
  slice.tokens = absl::MakeConstSpan(kTokens).subspan(0, tokens);
  slice.first_position = first;
  slice.prompt_length = prompt_length;
  slice.block_table = kTable;
  return slice;
}

std::vector<MicroBatch> LaidOut(const StepBatch& step, int block_tokens) {
  StepBatch other;  // whose layout is in the memory
  other.slices = {Slice(0, 6, 6), Slice(5, 1, 2), Slice(4, 1, 2)};
  other.micro_batches = 2;
  std::vector<MicroBatch> batches;
  LayOut(other, block_tokens, batches);
  LayOut(step, block_tokens, batches);
  return batches;
}

TEST(StepLayoutTest, DescribesEveryRow) {
  StepBatch step;
  step.slices = {Slice(5, 1, 2), Slice(3, 3, 5)};
  step.slices[1].deadline = absl::Seconds(4);
  const std::vector<MicroBatch> batches = LaidOut(step, /*block_tokens=*/4);
  ASSERT_EQ(batches.size(), 1u);
  const MicroBatch& batch = batches[0];
  EXPECT_EQ(batch.rows, 4);
  EXPECT_EQ(batch.slices, 2);
  EXPECT_EQ(batch.token_ids, (Ints{10, 10, 11, 12}));
  EXPECT_EQ(batch.positions, (Ints{5, 3, 4, 5}));
  EXPECT_EQ(batch.kv_slots, (Ints{3 * 4 + 1, 7 * 4 + 3, 3 * 4 + 0, 3 * 4 + 1}));
  EXPECT_EQ(batch.row_slice, (Ints{0, 1, 1, 1}));
  EXPECT_EQ(batch.row_offsets, (Ints{0, 1, 4}));
  EXPECT_EQ(batch.first_positions, (Ints{5, 3}));
  EXPECT_EQ(batch.prompt_lengths, (Ints{2, 5}));
  EXPECT_EQ(batch.max_blocks, 3);
  EXPECT_EQ(batch.block_tables, (Ints{7, 3, 9, 7, 3, 9}));
  EXPECT_FALSE(batch.is_prefill[0]);
  EXPECT_TRUE(batch.is_prefill[2]);
  EXPECT_FALSE(batch.is_prefill[3]);  // position 5 was generated
  EXPECT_EQ(batch.deadlines[3], absl::Seconds(4));
}

TEST(StepLayoutTest, DividesWholeSlicesAboutEqually) {
  StepBatch step;
  step.micro_batches = 2;
  step.slices = {Slice(0, 1, 6), Slice(0, 2, 6), Slice(0, 2, 6), Slice(0, 3, 6)};
  const std::vector<MicroBatch> batches = LaidOut(step, 4);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].rows, 5);
  EXPECT_EQ(batches[0].slices, 3);
  EXPECT_EQ(batches[1].first_row, 5);
  EXPECT_EQ(batches[1].first_slice, 3);
  EXPECT_EQ(batches[1].row_slice, (Ints{3, 3, 3}));
}

TEST(StepLayoutTest, ALongSliceGoesAlone) {
  StepBatch step;
  step.micro_batches = 2;
  step.slices = {Slice(5, 1, 2), Slice(4, 1, 2), Slice(0, 6, 6)};
  const std::vector<MicroBatch> batches = LaidOut(step, 4);
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].slices, 2);
  EXPECT_EQ(batches[1].rows, 6);
}

TEST(StepLayoutTest, OneSliceIsOneMicroBatch) {
  StepBatch step;
  step.micro_batches = 2;
  step.slices = {Slice(0, 6, 6)};
  EXPECT_EQ(LaidOut(step, 4).size(), 1u);
}

}  // namespace
}  // namespace moesaic::router
