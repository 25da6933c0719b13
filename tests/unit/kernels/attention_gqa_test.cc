#include "kernels/attention_gqa.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"
#include "tests/unit/kernels/paged_batch.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::HostTensor;

struct Shape {
  int heads;
  int kv_heads;
  int head_dim;
  int v_dim;
};

/// A batch with everything its Args point to.
struct Case {
  Case(const std::vector<TestSequence>& sequences, const Shape& shape, DType dtype,
       int block_tokens, DType query_dtype = DType::kF32)
      : batch(sequences, block_tokens),
        query(batch.Queries(query_dtype, shape.heads * shape.head_dim)),
        keys(batch.Cache(dtype, shape.kv_heads * shape.head_dim, 1)),
        values(batch.Cache(dtype, shape.kv_heads * shape.v_dim, 2)),
        out(dtype, {batch.rows(), shape.heads * shape.v_dim}) {
    args.query = query;
    args.keys = {keys};
    args.values = {values};
    args.batch = batch.batch();
    args.heads = shape.heads;
    args.kv_heads = shape.kv_heads;
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
    args.out = out;
    args.parallelism = 3;
  }

  absl::Status Run(int threads) {
    const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args))});
    return testing::RunOnHost(
        threads, [&](base::Stream& stream) { return Launch(args, workspace, stream); });
  }

  TestBatch batch;
  HostTensor query, keys, values, out;
  AttentionGqaArgs args;
};

/// Decodes at the edges of key blocks, prompts and chunks that cross them.
const std::vector<TestSequence> kMixed = {{1, 0, 1},   {2, 63, 1}, {3, 64, 1}, {4, 65, 1},
                                          {5, 200, 1}, {6, 0, 37}, {7, 60, 5}, {8, 100, 31}};
constexpr Shape kShapes[] = {{1, 1, 16, 16}, {4, 2, 32, 24}, {6, 2, 20, 7}, {8, 1, 128, 128}};

TEST(AttentionGqaTest, EveryTargetAndThreadCountHasTheBitsOfTheReference) {
  for (const Shape& shape : kShapes) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const DType query_dtype : {DType::kF32, DType::kBF16}) {
        Case expected(kMixed, shape, dtype, 16, query_dtype);
        ASSERT_TRUE(CanRun(expected.args).ok()) << CanRun(expected.args);
        AttentionGqaReference(expected.args);
        testing::ForEachTargetAndThreads([&](int threads) {
          Case actual(kMixed, shape, dtype, 16, query_dtype);
          ASSERT_TRUE(actual.Run(threads).ok());
          EXPECT_TRUE(BitsEqual(actual.out, expected.out)) << shape.heads << "x" << shape.head_dim;
        });
      }
    }
  }
}

TEST(AttentionGqaTest, BitsDoNotDependOnHowAPromptIsCut) {
  constexpr Shape kShape = {4, 2, 32, 24};
  for (const int length : {37, 150}) {
    Case whole({{9, 0, length}}, kShape, DType::kBF16, 16);
    ASSERT_TRUE(whole.Run(1).ok());
    for (const int chunk : {1, 8, 64}) {
      for (int first = 0; first < length; first += chunk) {
        const int rows = std::min(chunk, length - first);
        Case part({{9, first, rows}}, kShape, DType::kBF16, 16);
        ASSERT_TRUE(part.Run(1).ok());
        ASSERT_TRUE(BitsEqual(part.out, RowsOf(whole.out, first, first + rows)))
            << "chunk of " << chunk << " at " << first;
      }
    }
  }
}

TEST(AttentionGqaTest, BitsDoNotDependOnTheBatch) {
  constexpr Shape kShape = {6, 2, 20, 7};
  Case together(kMixed, kShape, DType::kF32, 16);
  ASSERT_TRUE(together.Run(2).ok());
  std::int64_t row = 0;
  for (const TestSequence& sequence : kMixed) {
    Case alone({sequence}, kShape, DType::kF32, 16);
    ASSERT_TRUE(alone.Run(2).ok());
    EXPECT_TRUE(BitsEqual(alone.out, RowsOf(together.out, row, row + sequence.rows)));
    row += sequence.rows;
  }
}

TEST(AttentionGqaTest, BitsDoNotDependOnPageSizeOrParallelism) {
  constexpr Shape kShape = {4, 2, 32, 24};
  Case expected(kMixed, kShape, DType::kBF16, 16);
  ASSERT_TRUE(expected.Run(1).ok());
  for (const int block_tokens : {1, 7, 64, 256}) {
    Case actual(kMixed, kShape, DType::kBF16, block_tokens);
    actual.args.parallelism = block_tokens % 5 + 1;
    ASSERT_TRUE(actual.Run(2).ok());
    EXPECT_TRUE(BitsEqual(actual.out, expected.out)) << block_tokens;
  }
}

/// Softmax attention in double, all keys at once.
double Exact(const Case& c, const Shape& shape, const std::vector<std::int32_t>& slots, int row,
             int position, int head, int v) {
  const int kv_head = head / (shape.heads / shape.kv_heads);
  std::vector<double> p;
  double max = -1e300;
  for (int j = 0; j <= position; ++j) {
    double dot = 0;
    for (int d = 0; d < shape.head_dim; ++d) {
      const auto slot = static_cast<std::int64_t>(slots[static_cast<std::size_t>(j)]);
      dot += static_cast<double>(
                 c.query.As<float>()[(row * shape.heads + head) * shape.head_dim + d]) *
             c.keys.As<float>()[slot * c.args.keys.width() + kv_head * shape.head_dim + d];
    }
    p.push_back(dot * c.args.scale);
    max = std::max(max, p.back());
  }
  double sum = 0;
  double out = 0;
  for (int j = 0; j <= position; ++j) {
    const auto slot = static_cast<std::int64_t>(slots[static_cast<std::size_t>(j)]);
    const double e = std::exp(p[static_cast<std::size_t>(j)] - max);
    sum += e;
    out += e * c.values.As<float>()[slot * c.args.values.width() + kv_head * shape.v_dim + v];
  }
  return out / sum;
}

TEST(AttentionGqaTest, IsSoftmaxAttention) {
  constexpr Shape kShape = {4, 2, 32, 24};
  constexpr int kLength = 150;
  Case c({{3, 0, kLength}}, kShape, DType::kF32, 16);
  ASSERT_TRUE(c.Run(2).ok());
  const std::vector<std::int32_t> slots = c.batch.Slots(0);
  // |q|, |k|, |v| <= 1: a score is off by at most head_dim eps, a weighted mean by twice that, and
  // its own chain adds kLength eps.
  const double tolerance = (2.0 * kShape.head_dim + kLength) * 0x1.0p-24;
  for (int row = 0; row < kLength; row += 7) {
    for (int head = 0; head < kShape.heads; ++head) {
      for (int v = 0; v < kShape.v_dim; v += 5) {
        EXPECT_NEAR(c.out.As<float>()[(row * kShape.heads + head) * kShape.v_dim + v],
                    Exact(c, kShape, slots, row, row, head, v), tolerance);
      }
    }
  }
}

TEST(AttentionGqaTest, NothingToDo) {
  Case no_rows({{1, 5, 0}}, kShapes[1], DType::kF32, 16);
  EXPECT_TRUE(no_rows.Run(1).ok());
  Case no_sequences({}, kShapes[1], DType::kF32, 16);
  EXPECT_TRUE(no_sequences.Run(1).ok());
}

TEST(AttentionGqaTest, RefusesWhatDoesNotFit) {
  const auto refused = [](auto change) {
    Case c({{1, 0, 3}}, kShapes[1], DType::kF32, 16);
    change(c.args);
    return CanRun(c.args).code() == absl::StatusCode::kInvalidArgument;
  };
  const HostTensor other(DType::kF32, {3, 5});
  const HostTensor bf16(DType::kBF16, {1, 16, 48});
  EXPECT_TRUE(refused([](auto& a) { a.kv_heads = 3; }));
  EXPECT_TRUE(refused([](auto& a) { a.heads = 0; }));
  EXPECT_TRUE(refused([](auto& a) { a.parallelism = 0; }));
  EXPECT_TRUE(refused([&](auto& a) { a.query = other; }));
  EXPECT_TRUE(refused([&](auto& a) { a.out = other; }));
  EXPECT_TRUE(refused([&](auto& a) { a.keys = {other}; }));
  EXPECT_TRUE(refused([&](auto& a) { a.values = {bf16}; }));
  EXPECT_TRUE(refused([&](auto& a) { a.batch.row_offsets = other; }));
  EXPECT_TRUE(refused([](auto& a) { a.query.data = nullptr; }));
}

TEST(AttentionGqaTest, ASmallWorkspaceIsResourceExhausted) {
  Case c({{1, 0, 3}}, kShapes[1], DType::kF32, 16);
  const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(c.args)) - 1});
  const absl::Status status = testing::RunOnHost(
      1, [&](base::Stream& stream) { return Launch(c.args, workspace, stream); });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace moesaic::kernels
