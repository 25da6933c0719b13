#include "kernels/attention_mla.h"

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

constexpr MlaShape kTiny = {4, 40, 32, 64, 24};
constexpr MlaShape kOdd = {3, 21, 5, 2, 70};
constexpr MlaShape kLite = {2, 512, 128, 64, 128};

/// A batch with everything its Args point to.
struct Case {
  Case(const std::vector<TestSequence>& sequences, const MlaShape& shape, DType dtype,
       int block_tokens, DType weight_dtype, DType query_dtype = DType::kF32)
      : batch(sequences, block_tokens),
        query(batch.Queries(query_dtype, shape.heads * (shape.nope + shape.rope))),
        cache(batch.Cache(dtype, shape.kv_lora + shape.rope, 1)),
        kv_b(HostTensor::Random(weight_dtype,
                                {shape.heads * (shape.nope + shape.v_dim), shape.kv_lora}, 5,
                                1.0f / std::sqrt(static_cast<float>(shape.kv_lora)))),
        scales(HostTensor::Random(DType::kF32,
                                  {(kv_b.view().dim(0) + 127) / 128, (shape.kv_lora + 127) / 128},
                                  6, 0.01f)),
        out(dtype, {batch.rows(), shape.heads * shape.v_dim}) {
    args.shape = shape;
    args.query = query;
    args.cache = {cache};
    args.kv_b = kv_b;
    if (weight_dtype == DType::kF8E4M3) args.kv_b_scales = scales;
    args.batch = batch.batch();
    args.prompt_lengths = batch.prompt_lengths();
    args.scale = 1.0f / std::sqrt(static_cast<float>(shape.nope + shape.rope));
    args.out = out;
    args.parallelism = 3;
  }
  Case(const std::vector<TestSequence>& sequences, const MlaShape& shape, DType dtype,
       int block_tokens = 16)
      : Case(sequences, shape, dtype, block_tokens, dtype) {}

  absl::Status Run(int threads) {
    const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(args))});
    return testing::RunOnHost(
        threads, [&](base::Stream& stream) { return Launch(args, workspace, stream); });
  }

  TestBatch batch;
  HostTensor query, cache, kv_b, scales, out;
  AttentionMlaArgs args;
};

/// Prompts, chunks, decodes at the edges of key blocks, and a recomputed piece that holds the end
/// of a prompt and the beginning of what was generated (id 7).
const std::vector<TestSequence> kMixed = {{1, 0, 1, 1},     {2, 63, 1, 5},   {3, 64, 1, 65},
                                          {4, 129, 1, 100}, {6, 0, 37, 37},  {7, 60, 11, 66},
                                          {8, 70, 9, 200},  {9, 100, 6, 20}, {10, 3, 1, 0}};

TEST(AttentionMlaTest, EveryTargetAndThreadCountHasTheBitsOfTheReference) {
  for (const MlaShape& shape : {kTiny, kOdd}) {
    for (const DType dtype : {DType::kF32, DType::kBF16}) {
      for (const DType weight : {dtype, DType::kF8E4M3}) {
        for (const DType query : {DType::kF32, DType::kBF16}) {
          Case expected(kMixed, shape, dtype, 16, weight, query);
          ASSERT_TRUE(CanRun(expected.args).ok()) << CanRun(expected.args);
          AttentionMlaReference(expected.args);
          testing::ForEachTargetAndThreads([&](int threads) {
            Case actual(kMixed, shape, dtype, 16, weight, query);
            ASSERT_TRUE(actual.Run(threads).ok());
            EXPECT_TRUE(BitsEqual(actual.out, expected.out)) << shape.kv_lora;
          });
        }
      }
    }
  }
}

TEST(AttentionMlaTest, TheSizesOfDeepSeekHaveTheBitsOfTheReference) {
  const std::vector<TestSequence> sequences = {{1, 64, 2, 65}};
  Case expected(sequences, kLite, DType::kBF16);
  AttentionMlaReference(expected.args);
  testing::ForEachTargetAndThreads([&](int threads) {
    Case actual(sequences, kLite, DType::kBF16);
    ASSERT_TRUE(actual.Run(threads).ok());
    EXPECT_TRUE(BitsEqual(actual.out, expected.out));
  });
}

TEST(AttentionMlaTest, BitsDoNotDependOnHowASequenceIsCut) {
  constexpr int kLength = 90;
  constexpr int kPrompt = 75;
  Case whole({{9, 0, kLength, kPrompt}}, kTiny, DType::kBF16);
  ASSERT_TRUE(whole.Run(1).ok());
  for (const int chunk : {1, 8, 37}) {
    for (int first = 0; first < kLength; first += chunk) {
      const int rows = std::min(chunk, kLength - first);
      Case part({{9, first, rows, kPrompt}}, kTiny, DType::kBF16);
      ASSERT_TRUE(part.Run(1).ok());
      ASSERT_TRUE(BitsEqual(part.out, RowsOf(whole.out, first, first + rows)))
          << "chunk of " << chunk << " at " << first;
    }
  }
}

TEST(AttentionMlaTest, BitsDoNotDependOnTheBatch) {
  Case together(kMixed, kTiny, DType::kF32);
  ASSERT_TRUE(together.Run(2).ok());
  std::int64_t row = 0;
  for (const TestSequence& sequence : kMixed) {
    Case alone({sequence}, kTiny, DType::kF32);
    ASSERT_TRUE(alone.Run(2).ok());
    EXPECT_TRUE(BitsEqual(alone.out, RowsOf(together.out, row, row + sequence.rows)));
    row += sequence.rows;
  }
}

TEST(AttentionMlaTest, BitsDoNotDependOnPageSizeOrParallelism) {
  Case expected(kMixed, kTiny, DType::kBF16);
  ASSERT_TRUE(expected.Run(1).ok());
  for (const int block_tokens : {1, 7, 64, 256}) {
    Case actual(kMixed, kTiny, DType::kBF16, block_tokens);
    actual.args.parallelism = block_tokens % 5 + 1;
    ASSERT_TRUE(actual.Run(2).ok());
    EXPECT_TRUE(BitsEqual(actual.out, expected.out)) << block_tokens;
  }
}

TEST(AttentionMlaTest, MoreAbsorbedRowsThanFitAtOnce) {
  const std::vector<TestSequence> sequences = {{1, 3, 70, 0}};
  Case expected(sequences, kOdd, DType::kF32);
  AttentionMlaReference(expected.args);
  Case actual(sequences, kOdd, DType::kF32);
  ASSERT_TRUE(actual.Run(2).ok());
  EXPECT_TRUE(BitsEqual(actual.out, expected.out));
}

TEST(AttentionMlaTest, BothFormsAgreeWithinRounding) {
  constexpr int kLength = 150;
  Case naive({{3, 0, kLength, kLength}}, kTiny, DType::kF32);
  Case absorbed({{3, 0, kLength, 0}}, kTiny, DType::kF32);
  ASSERT_TRUE(naive.Run(2).ok());
  ASSERT_TRUE(absorbed.Run(2).ok());
  // |q|, |c|, |k_rope| <= 1 and |W| <= kv_lora^-1/2: an expanded element is at most kv_lora^1/2 and
  // off by kv_lora eps of it, a score by nope times that times the scale plus its own chain; a
  // weighted mean of values is off by twice the score's error times the largest value, and by its
  // own chains. Each form has all of these once.
  const double eps = 0x1.0p-24;
  const double value = std::sqrt(static_cast<double>(kTiny.kv_lora));
  const double score = kTiny.nope * value * (kTiny.kv_lora + kTiny.nope + kTiny.rope) * eps *
                       static_cast<double>(naive.args.scale);
  const double tolerance = 2 * (2 * score * value + (kLength + kTiny.kv_lora) * value * eps);
  EXPECT_LT(tolerance, 0.01);
  EXPECT_TRUE(testing::AllClose(naive.out, absorbed.out, {tolerance, 0}));
}

TEST(AttentionMlaTest, WorkspaceDoesNotGrowWithTheContext) {
  Case near({{1, 10, 1, 1000}}, kTiny, DType::kF32);
  Case far({{1, 5000, 1, 10000}}, kTiny, DType::kF32);
  EXPECT_EQ(WorkspaceBytes(near.args), WorkspaceBytes(far.args));
}

TEST(AttentionMlaTest, NothingToDo) {
  Case no_rows({{1, 5, 0, 9}}, kTiny, DType::kF32);
  EXPECT_TRUE(no_rows.Run(1).ok());
  Case no_sequences({}, kTiny, DType::kF32);
  EXPECT_TRUE(no_sequences.Run(1).ok());
}

TEST(AttentionMlaTest, RefusesWhatDoesNotFit) {
  const auto refused = [](auto change) {
    Case c({{1, 0, 3, 3}}, kTiny, DType::kF32);
    change(c.args);
    return CanRun(c.args).code() == absl::StatusCode::kInvalidArgument;
  };
  const HostTensor other(DType::kF32, {3, 5});
  const HostTensor fp8(DType::kF8E4M3, {4 * (32 + 24), 40});
  EXPECT_TRUE(refused([](auto& a) { a.shape.heads = 0; }));
  EXPECT_TRUE(refused([](auto& a) { a.shape.nope = 31; }));
  EXPECT_TRUE(refused([](auto& a) { a.parallelism = 0; }));
  EXPECT_TRUE(refused([&](auto& a) { a.query = other; }));
  EXPECT_TRUE(refused([&](auto& a) { a.out = other; }));
  EXPECT_TRUE(refused([&](auto& a) { a.cache = {other}; }));
  EXPECT_TRUE(refused([&](auto& a) { a.kv_b = other; }));
  EXPECT_TRUE(refused([&](auto& a) { a.kv_b = fp8; })) << "fp8 needs scales";
  EXPECT_TRUE(refused([&](auto& a) { a.prompt_lengths = other; }));
}

TEST(AttentionMlaTest, ASmallWorkspaceIsResourceExhausted) {
  Case c({{1, 0, 3, 3}}, kTiny, DType::kF32);
  const HostTensor workspace(DType::kU8, {static_cast<std::int64_t>(WorkspaceBytes(c.args)) - 1});
  const absl::Status status = testing::RunOnHost(
      1, [&](base::Stream& stream) { return Launch(c.args, workspace, stream); });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace moesaic::kernels
