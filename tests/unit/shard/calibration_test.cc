#include "shard/calibration.h"

#include "base/compute_pool.h"
#include "gtest/gtest.h"
#include "rpc/buffer_pool.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

class CalibrationTest : public ::testing::Test {
 protected:
  absl::Status Run(std::uint64_t memory_bytes, absl::Duration budget) {
    store_ = *ExpertStore::Create(
        *checkpoint_,
        {.unit_size = 2, .memory_bytes = memory_bytes, .compute_dtype = base::DType::kBF16}, pool_);
    const std::int64_t hidden = checkpoint_->config().hidden_size;
    FfnExecutor executor({.topology = store_->topology(),
                          .hidden_size = hidden,
                          .intermediate_size = checkpoint_->config().moe.expert_intermediate_size,
                          .compute_dtype = base::DType::kBF16},
                         pool_, buffers_, base::Clock::Real());
    return Calibrate({.budget = budget, .compute_dtype = base::DType::kBF16}, hidden, *store_,
                     executor, base::Clock::Real(), meter_);
  }

  base::ComputePool pool_{2};
  rpc::BufferPool buffers_;
  std::unique_ptr<model::Checkpoint> checkpoint_ = OpenTinyCheckpoint();
  std::unique_ptr<ExpertStore> store_;
  SpeedMeter meter_;
};

TEST_F(CalibrationTest, MeasuresAndLeavesNothingBehind) {
  ASSERT_TRUE(Run(1 << 30, absl::Milliseconds(1)).ok());
  EXPECT_GT(meter_.speed().us_per_row + meter_.speed().us_per_expert, 0);
  EXPECT_EQ(store_->held_bytes(), 0u);
}

TEST_F(CalibrationTest, WithoutABudgetNothingIsRead) {
  ASSERT_TRUE(Run(1 << 30, absl::ZeroDuration()).ok());
  EXPECT_EQ(meter_.speed().us_per_row, 0);
}

TEST_F(CalibrationTest, AShardTooSmallForAUnitIsNotMeasured) {
  EXPECT_EQ(Run(16, absl::Milliseconds(1)).code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace moesaic::shard
