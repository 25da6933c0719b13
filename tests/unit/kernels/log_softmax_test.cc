#include "kernels/log_softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::HostTensor;

/// A launch with everything its Args point to; row r's target is r modulo the vocabulary.
struct Case {
  Case(const HostTensor& logits, std::int64_t top_n)
      : targets(DType::kI32, {logits.view().dim(0)}),
        target_logprobs(DType::kF32, {logits.view().dim(0)}),
        top_ids(DType::kI32, {logits.view().dim(0), top_n}),
        top_logprobs(DType::kF32, {logits.view().dim(0), top_n}),
        invalid(DType::kU8, {logits.view().dim(0)}) {
    for (std::int64_t r = 0; r < logits.view().dim(0); ++r) {
      targets.As<std::int32_t>()[r] = static_cast<std::int32_t>(r % logits.view().dim(1));
    }
    args.logits = logits;
    args.targets = targets;
    args.target_logprobs = target_logprobs;
    if (top_n > 0) {
      args.top_ids = top_ids;
      args.top_logprobs = top_logprobs;
    }
    args.invalid = invalid;
  }
  absl::Status Run(int threads = 1) {
    return testing::RunOnHost(threads,
                              [&](base::Stream& stream) { return Launch(args, {}, stream); });
  }

  HostTensor targets, target_logprobs, top_ids, top_logprobs, invalid;
  LogSoftmaxArgs args;
};

HostTensor Row(const std::vector<float>& values) {
  HostTensor logits(DType::kF32, {1, static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), logits.As<float>());
  return logits;
}

TEST(LogSoftmaxTest, EveryTargetAndThreadCountHasTheBitsOfTheReference) {
  for (const std::int64_t vocab : {1, 15, 16, 17, 259, 5003}) {
    for (const std::int64_t rows : {0, 1, 5}) {
      const HostTensor logits = HostTensor::Random(DType::kF32, {rows, vocab}, 3, 20.0f);
      const std::int64_t top_n = std::min<std::int64_t>(vocab, 20);
      Case expected(logits, top_n);
      ASSERT_TRUE(CanRun(expected.args).ok()) << CanRun(expected.args);
      LogSoftmaxReference(expected.args);
      testing::ForEachTargetAndThreads([&](int threads) {
        Case actual(logits, top_n);
        ASSERT_TRUE(actual.Run(threads).ok());
        EXPECT_TRUE(BitsEqual(actual.target_logprobs, expected.target_logprobs));
        EXPECT_TRUE(BitsEqual(actual.top_ids, expected.top_ids));
        EXPECT_TRUE(BitsEqual(actual.top_logprobs, expected.top_logprobs));
        EXPECT_TRUE(BitsEqual(actual.invalid, expected.invalid));
      });
    }
  }
}

TEST(LogSoftmaxTest, IsTheLogarithmOfTheSoftmax) {
  constexpr std::int64_t kVocab = 1000;
  const HostTensor logits = HostTensor::Random(DType::kF32, {1, kVocab}, 4, 10.0f);
  Case c(logits, 5);
  ASSERT_TRUE(c.Run().ok());
  double sum = 0;
  for (int i = 0; i < kVocab; ++i) sum += std::exp(static_cast<double>(logits.As<float>()[i]));
  // A difference of numbers up to 20, and the logarithm of a sum of 1000 rounded terms.
  EXPECT_NEAR(c.target_logprobs.As<float>()[0], logits.As<float>()[0] - std::log(sum), 1e-5);
}

TEST(LogSoftmaxTest, TiesGoToTheLowestId) {
  const HostTensor logits = Row({1, 3, 0, 3, 1, 3});
  Case c(logits, 4);
  ASSERT_TRUE(c.Run().ok());
  const std::int32_t* ids = c.top_ids.As<std::int32_t>();
  EXPECT_EQ(std::vector<std::int32_t>(ids, ids + 4), (std::vector<std::int32_t>{1, 3, 5, 0}));
}

TEST(LogSoftmaxTest, FarBelowTheLargestStaysFinite) {
  const HostTensor logits = Row({-3e38f, 200, 0});
  Case c(logits, 0);
  ASSERT_TRUE(c.Run().ok());
  EXPECT_EQ(c.target_logprobs.As<float>()[0], -3e38f);
  EXPECT_EQ(c.invalid.As<std::uint8_t>()[0], 0);
}

TEST(LogSoftmaxTest, ANonFiniteRowIsMarkedAndAlone) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    const HostTensor logits = HostTensor::Random(DType::kF32, {3, 33}, 5);
    Case good(logits, 2);
    ASSERT_TRUE(good.Run().ok());
    logits.As<float>()[33 + 32] = bad;
    Case c(logits, 2);
    ASSERT_TRUE(c.Run().ok());
    EXPECT_EQ(c.invalid.As<std::uint8_t>()[1], 1);
    EXPECT_TRUE(std::isnan(c.target_logprobs.As<float>()[1]));
    EXPECT_EQ(c.top_ids.As<std::int32_t>()[2], -1);
    for (const int row : {0, 2}) {
      EXPECT_EQ(c.invalid.As<std::uint8_t>()[row], 0);
      EXPECT_EQ(c.target_logprobs.As<float>()[row], good.target_logprobs.As<float>()[row]);
    }
  }
}

TEST(LogSoftmaxTest, NoTargetGivesNoNumber) {
  const HostTensor logits = Row({1, 2, 3});
  Case c(logits, 0);
  c.targets.As<std::int32_t>()[0] = -1;
  ASSERT_TRUE(c.Run().ok());
  EXPECT_TRUE(std::isnan(c.target_logprobs.As<float>()[0]));
}

TEST(LogSoftmaxTest, RefusesWhatDoesNotFit) {
  const HostTensor logits(DType::kF32, {2, 8});
  const auto refused = [&](auto change) {
    Case c(logits, 3);
    change(c.args);
    return CanRun(c.args).code() == absl::StatusCode::kInvalidArgument;
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& a) { a.targets.data = nullptr; }));
  EXPECT_TRUE(refused([](auto& a) { a.top_logprobs.data = nullptr; }));
  EXPECT_TRUE(refused([&](auto& a) { a.invalid = logits; }));
  EXPECT_TRUE(refused([](auto& a) { a.logits.shape[1] = 2; })) << "top_n > vocab";
  EXPECT_TRUE(refused([](auto& a) { a.logits.shape[1] = 0; }));
}

}  // namespace
}  // namespace moesaic::kernels
