#include "kernels/expert_ffn.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "base/dtype.h"
#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::ForEachTargetAndThreads;
using testing::HostTensor;
using testing::RunOnHost;

/// Experts of one layer with random weights.
struct Layer {
  Layer(int experts, std::int64_t hidden, std::int64_t inter, DType storage)
      : hidden(hidden), inter(inter) {
    for (int e = 0; e < experts; ++e) {
      const std::uint64_t seed = 10 * (e + 1);
      gate_up.push_back(Weight(storage, {{inter, hidden}, {inter, hidden}}, seed));
      down.push_back(Weight(storage, {{hidden, inter}}, seed + 5));
    }
  }

  static PackedMatrix Weight(DType storage,
                             std::vector<std::pair<std::int64_t, std::int64_t>> shapes,
                             std::uint64_t seed) {
    std::vector<HostTensor> memory;
    std::vector<WeightSource> sources;
    for (const auto& [n, k] : shapes) {
      const DType stored = storage == DType::kI8 ? DType::kF32 : storage;
      memory.push_back(HostTensor::Random(stored, {n, k}, seed++, 0.3f));
      sources.push_back({.weight = memory.back()});
      if (storage != DType::kF8E4M3) continue;
      memory.push_back(
          HostTensor::Random(DType::kF32, {(n + 127) / 128, (k + 127) / 128}, seed++, 0.001f));
      sources.back().scale = memory.back().view();
    }
    auto packed = PackedMatrix::Pack(sources, storage);
    EXPECT_TRUE(packed.ok()) << packed.status();
    return *std::move(packed);
  }

  std::int64_t hidden;
  std::int64_t inter;
  std::vector<PackedMatrix> gate_up;
  std::vector<PackedMatrix> down;
};

/// Calls per expert: every row goes to `top_k` experts, one slot per row.
std::vector<std::vector<ExpertEntry>> Route(std::int64_t rows, int experts, int top_k,
                                            int empty_expert) {
  std::vector<std::vector<ExpertEntry>> entries(experts);
  std::mt19937 generator(7);
  for (std::int64_t row = 0; row < rows; ++row) {
    std::vector<int> order;
    for (int e = 0; e < experts; ++e) {
      if (e != empty_expert) order.push_back(e);
    }
    std::shuffle(order.begin(), order.end(), generator);
    order.resize(top_k);
    std::sort(order.begin(), order.end());
    for (int i = 0; i < top_k; ++i) {
      entries[order[i]].push_back({.row = static_cast<std::int32_t>(row),
                                   .slot = static_cast<std::int32_t>(row),
                                   .weight = 0.1f + 0.2f * static_cast<float>(i),
                                   .first = i == 0});
    }
  }
  return entries;
}

std::vector<ExpertGroup> Groups(const Layer& layer,
                                const std::vector<std::vector<ExpertEntry>>& entries) {
  std::vector<ExpertGroup> groups;
  for (std::size_t e = 0; e < entries.size(); ++e) {
    groups.push_back({&layer.gate_up[e], &layer.down[e], entries[e]});
  }
  return groups;
}

absl::Status RunOp(const ExpertFfnArgs& args, int threads) {
  const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args))});
  return RunOnHost(threads, [&](base::Stream& stream) { return Launch(args, workspace, stream); });
}

struct Case {
  DType storage;
  DType x;
};

class ExpertFfnTest : public ::testing::TestWithParam<Case> {};

TEST_P(ExpertFfnTest, HasTheBitsOfTheDefinition) {
  struct Shape {
    std::int64_t rows, hidden, inter;
  };
  for (const Shape& shape : {Shape{0, 32, 16}, Shape{1, 32, 16}, Shape{5, 70, 33},
                             Shape{60, 48, 20}, Shape{9, 130, 129}}) {
    SCOPED_TRACE(::testing::Message() << shape.rows << " rows");
    const Layer layer(4, shape.hidden, shape.inter, GetParam().storage);
    const HostTensor x = HostTensor::Random(GetParam().x, {shape.rows, shape.hidden}, 1);
    const auto entries = Route(shape.rows, 4, 2, /*empty_expert=*/2);
    const std::vector<ExpertGroup> groups = Groups(layer, entries);
    const HostTensor expected(DType::kF32, {shape.rows, shape.hidden});
    ExpertFfnReference({.x = x, .groups = groups, .y = expected});
    ForEachTargetAndThreads([&](int threads) {
      const HostTensor y = HostTensor::Random(DType::kF32, {shape.rows, shape.hidden}, 9);
      ASSERT_TRUE(RunOp({.x = x, .groups = groups, .y = y}, threads).ok());
      EXPECT_TRUE(BitsEqual(y, expected));
    });
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ExpertFfnTest,
                         ::testing::Values(Case{DType::kF32, DType::kF32},
                                           Case{DType::kBF16, DType::kBF16},
                                           Case{DType::kF8E4M3, DType::kBF16},
                                           Case{DType::kI8, DType::kF32},
                                           Case{DType::kI8, DType::kBF16}));

class ExpertFfnBatchTest : public ::testing::TestWithParam<DType> {};

TEST_P(ExpertFfnBatchTest, ARowDoesNotSeeTheOthers) {
  const Layer layer(4, 64, 40, GetParam());
  const HostTensor x = HostTensor::Random(DType::kBF16, {30, 64}, 1);
  const auto entries = Route(30, 4, 3, -1);
  const HostTensor all(DType::kF32, {30, 64});
  const std::vector<ExpertGroup> groups = Groups(layer, entries);
  ASSERT_TRUE(RunOp({.x = x, .groups = groups, .y = all}, 2).ok());
  for (std::int32_t row = 0; row < 30; ++row) {
    std::vector<std::vector<ExpertEntry>> own(4);
    for (int e = 0; e < 4; ++e) {
      for (ExpertEntry entry : entries[e]) {
        if (entry.row != row) continue;
        entry.row = entry.slot = 0;
        own[e].push_back(entry);
      }
    }
    const std::vector<ExpertGroup> own_groups = Groups(layer, own);
    const HostTensor alone(DType::kF32, {1, 64});
    const base::TensorView one(x.As<std::uint16_t>() + row * 64, DType::kBF16, {1, 64});
    ASSERT_TRUE(RunOp({.x = one, .groups = own_groups, .y = alone}, 1).ok());
    EXPECT_TRUE(
        BitsEqual(alone, base::TensorView(all.As<float>() + row * 64, DType::kF32, {1, 64})));
  }
}

INSTANTIATE_TEST_SUITE_P(Storages, ExpertFfnBatchTest, ::testing::Values(DType::kBF16, DType::kI8));

TEST(ExpertFfnStorageTest, ExpertsMayDifferInStorage) {
  const Layer bf16(4, 70, 33, DType::kBF16);
  const Layer int8(4, 70, 33, DType::kI8);
  const HostTensor x = HostTensor::Random(DType::kF32, {9, 70}, 1);
  const auto entries = Route(9, 4, 2, -1);
  std::vector<ExpertGroup> groups = Groups(bf16, entries);
  groups[1].gate_up = &int8.gate_up[1];
  groups[2].down = &int8.down[2];
  const HostTensor expected(DType::kF32, {9, 70});
  ExpertFfnReference({.x = x, .groups = groups, .y = expected});
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(DType::kF32, {9, 70});
    ASSERT_TRUE(RunOp({.x = x, .groups = groups, .y = y}, threads).ok());
    EXPECT_TRUE(BitsEqual(y, expected));
  });
}

TEST(ExpertFfnSlotsTest, OtherSlotsStayUntouched) {
  const Layer layer(1, 16, 8, DType::kF32);
  const HostTensor x = HostTensor::Random(DType::kF32, {2, 16}, 1);
  const HostTensor y = HostTensor::Random(DType::kF32, {3, 16}, 2);
  const HostTensor before = HostTensor::Random(DType::kF32, {3, 16}, 2);
  const std::vector<std::vector<ExpertEntry>> entries = {
      {{.row = 1, .slot = 1, .weight = 1.0f, .first = true}}};
  const std::vector<ExpertGroup> groups = Groups(layer, entries);
  ASSERT_TRUE(RunOp({.x = x, .groups = groups, .y = y}, 1).ok());
  for (const std::int64_t slot : {0, 2}) {
    EXPECT_TRUE(BitsEqual(base::TensorView(y.As<float>() + slot * 16, DType::kF32, {16}),
                          base::TensorView(before.As<float>() + slot * 16, DType::kF32, {16})));
  }
}

class ExpertFfnArgsTest : public ::testing::Test {
 protected:
  bool Accepts(const std::vector<std::vector<ExpertEntry>>& entries) {
    const std::vector<ExpertGroup> groups = Groups(layer_, entries);
    return CanRun(ExpertFfnArgs{.x = x_, .groups = groups, .y = y_}).ok();
  }

  const Layer layer_{2, 16, 8, DType::kF32};
  const HostTensor x_{DType::kF32, {2, 16}};
  const HostTensor y_{DType::kF32, {2, 16}};
};

TEST_F(ExpertFfnArgsTest, SlotsAreOpenedOnce) {
  const ExpertEntry first = {.row = 0, .slot = 0, .weight = 1, .first = true};
  ExpertEntry next = first;
  next.first = false;
  EXPECT_TRUE(Accepts({{first}, {next}}));
  EXPECT_FALSE(Accepts({{next}, {}}));
  EXPECT_FALSE(Accepts({{first}, {first}}));
  EXPECT_FALSE(Accepts({{first, next}, {}}));
}

TEST_F(ExpertFfnArgsTest, IndicesStayInRange) {
  EXPECT_FALSE(Accepts({{{.row = 2, .slot = 0, .weight = 1, .first = true}}}));
  EXPECT_FALSE(Accepts({{{.row = -1, .slot = 0, .weight = 1, .first = true}}}));
  EXPECT_FALSE(Accepts({{{.row = 0, .slot = 2, .weight = 1, .first = true}}}));
}

TEST_F(ExpertFfnArgsTest, WeightsFitTheRows) {
  const Layer other(1, 17, 8, DType::kF32);
  const std::vector<ExpertGroup> groups = {{&other.gate_up[0], &other.down[0], {}}};
  EXPECT_FALSE(CanRun(ExpertFfnArgs{.x = x_, .groups = groups, .y = y_}).ok());
  const std::vector<ExpertGroup> missing = {{&layer_.gate_up[0], nullptr, {}}};
  EXPECT_FALSE(CanRun(ExpertFfnArgs{.x = x_, .groups = missing, .y = y_}).ok());
}

TEST_F(ExpertFfnArgsTest, AShortWorkspaceIsResourceExhausted) {
  const std::vector<std::vector<ExpertEntry>> entries = {
      {{.row = 0, .slot = 0, .weight = 1, .first = true}}};
  const std::vector<ExpertGroup> groups = Groups(layer_, entries);
  const HostTensor workspace(DType::kU8, {64});
  const absl::Status status = RunOnHost(1, [&](base::Stream& stream) {
    return Launch(ExpertFfnArgs{.x = x_, .groups = groups, .y = y_}, workspace, stream);
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace moesaic::kernels
