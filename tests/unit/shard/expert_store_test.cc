#include "shard/expert_store.h"

#include <fstream>

#include "base/compute_pool.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

using placement::UnitKey;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ExpertStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<ExpertStore> Make(std::uint32_t unit_size, std::uint64_t memory_bytes,
                                    base::DType compute = base::DType::kF32,
                                    std::optional<base::DType> weight = std::nullopt) {
    auto store = ExpertStore::Create(*checkpoint_,
                                     {.unit_size = unit_size,
                                      .memory_bytes = memory_bytes,
                                      .compute_dtype = compute,
                                      .weight_dtype = weight},
                                     pool_);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  base::ComputePool pool_{2};
  std::unique_ptr<model::Checkpoint> checkpoint_ = OpenTinyCheckpoint();
};

TEST_F(ExpertStoreTest, KnowsTheTopologyBeforeReadingAWeight) {
  const auto store = Make(3, 1 << 30);
  const placement::ExpertTopology& topology = store->topology();
  EXPECT_EQ(topology.experts_per_layer, 16u);
  EXPECT_EQ(topology.units_per_layer(), 6u);
  EXPECT_EQ(topology.moe_layers.front(), base::LayerId(1));
  EXPECT_THAT(store->Held(), IsEmpty());
  EXPECT_EQ(store->held_bytes(), 0u);
}

TEST_F(ExpertStoreTest, UnitBytesAreWhatAUnitTakesAtMost) {
  for (const base::DType compute : {base::DType::kF32, base::DType::kBF16}) {
    const auto store = Make(2, 1 << 30, compute);
    ASSERT_TRUE(store->Load({Key(1, 0)}).ok());
    const std::uint64_t unit_bytes = store->topology().unit_bytes;
    const PackedExpert& expert =
        store->Current()->Find(store->topology().NumberOf(Key(1, 0)))->experts[0];
    if (expert.gate_up.coded() && expert.down.coded()) {
      EXPECT_LT(store->held_bytes(), unit_bytes * 8 / 10);
    } else {
      EXPECT_EQ(store->held_bytes(), unit_bytes);
    }
  }
}

TEST_F(ExpertStoreTest, Int8UnitsTakeHalfOfBf16AndSayItBefore) {
  const std::uint64_t bf16_bytes = Make(2, 1, base::DType::kBF16)->topology().unit_bytes;
  const auto store = Make(2, 1 << 30, base::DType::kBF16, base::DType::kI8);
  ASSERT_TRUE(store->Load({Key(1, 0)}).ok());
  EXPECT_EQ(store->held_bytes(), store->topology().unit_bytes);
  EXPECT_LT(store->topology().unit_bytes, bf16_bytes * 6 / 10);
  EXPECT_EQ(
      store->Current()->Find(store->topology().NumberOf(Key(1, 0)))->experts[0].down.storage(),
      base::DType::kI8);
}

TEST_F(ExpertStoreTest, LoadsKeepsAndUnloads) {
  const auto store = Make(2, 1 << 30, base::DType::kBF16, base::DType::kI8);
  int loaded = 0;
  ASSERT_TRUE(store->Load({Key(2, 7), Key(1, 0), Key(1, 0)}, [&] { ++loaded; }).ok());
  EXPECT_EQ(loaded, 2);
  EXPECT_THAT(store->Held(), ElementsAre(Key(1, 0), Key(2, 7)));
  const auto before = store->Current();
  const UnitWeights* unit = before->Find(store->topology().NumberOf(Key(1, 0)));
  ASSERT_NE(unit, nullptr);
  EXPECT_EQ(unit->experts.size(), 2u);
  EXPECT_EQ(unit->experts[0].gate_up.k(), checkpoint_->config().hidden_size);

  ASSERT_TRUE(store->Load({Key(1, 0), Key(1, 1)}).ok());
  EXPECT_EQ(store->Current()->Find(store->topology().NumberOf(Key(1, 0))), unit)
      << "what is held is not read again";
  store->Unload({Key(1, 0), Key(3, 3)});
  EXPECT_THAT(store->Held(), ElementsAre(Key(1, 1), Key(2, 7)));
  EXPECT_EQ(store->held_bytes(), 2 * store->topology().unit_bytes);
  EXPECT_EQ(before->Find(store->topology().NumberOf(Key(1, 0))), unit)
      << "a computation keeps the set it started with";
}

TEST_F(ExpertStoreTest, RefusesBeyondItsMemoryWithNothingLoaded) {
  const std::uint64_t unit_bytes = Make(2, 1)->topology().unit_bytes;
  const auto store = Make(2, 2 * unit_bytes + unit_bytes / 2);
  ASSERT_TRUE(store->Load({Key(1, 0)}).ok());
  const absl::Status refused = store->Load({Key(1, 1), Key(1, 2)});
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(refused.message(), HasSubstr("2 units need"));
  EXPECT_THAT(store->Held(), ElementsAre(Key(1, 0)));
  EXPECT_TRUE(store->Load({Key(1, 0), Key(1, 1)}).ok()) << "what is held needs no room";
}

TEST_F(ExpertStoreTest, RefusesUnitsThatDoNotExist) {
  const auto store = Make(2, 1 << 30);
  EXPECT_EQ(store->Load({Key(0, 0)}).code(), absl::StatusCode::kInvalidArgument) << "dense layer";
  EXPECT_EQ(store->Load({Key(1, 8)}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store->Load({Key(99, 0)}).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ExpertStoreTest, RefusesImpossibleOptions) {
  EXPECT_FALSE(ExpertStore::Create(*checkpoint_, {.unit_size = 0}, pool_).ok());
  EXPECT_FALSE(ExpertStore::Create(*checkpoint_, {.unit_size = 17}, pool_).ok());
  EXPECT_FALSE(ExpertStore::Create(*checkpoint_, {.compute_dtype = base::DType::kF16}, pool_).ok());
  EXPECT_FALSE(ExpertStore::Create(*checkpoint_, {.weight_dtype = base::DType::kF32}, pool_).ok());
}

TEST_F(ExpertStoreTest, AStoppedStoreLoadsNothing) {
  const auto store = Make(2, 1 << 30);
  store->Stop();
  EXPECT_EQ(store->Load({Key(1, 0)}).code(), absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace moesaic::shard
