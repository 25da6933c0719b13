#include "kernels/simd_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "base/dtype.h"
#include "kernels/simd.h"
#include "tests/testing/run_op.h"
#include "tests/unit/kernels/simd_math_probe.h"

namespace moesaic::kernels {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

/// Every 4099th float, in whole rounds of 16.
std::vector<float> SampleFloats() {
  std::vector<float> values;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(bits)));
  }
  values.resize(values.size() / 16 * 16);
  return values;
}

bool SameBits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

void ExpectVectorEqualsScalar(SimdMathProbe probe, float (*scalar)(float), bool normal_only) {
  const std::vector<float> x = SampleFloats();
  std::vector<float> expected(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) expected[i] = scalar(x[i]);
  for (const std::string& target : SupportedSimdTargets()) {
    ASSERT_TRUE(SetMaxSimdTarget(target).ok());
    std::vector<float> y(x.size());
    RunSimdMathProbe(probe, x.data(), static_cast<std::int64_t>(x.size()), y.data());
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (normal_only && !(x[i] > 0 && std::isnormal(x[i]))) continue;
      if (std::isnan(expected[i]) && std::isnan(y[i])) continue;
      ASSERT_TRUE(SameBits(y[i], expected[i])) << target << " at " << x[i];
    }
  }
  ASSERT_TRUE(SetMaxSimdTarget("auto").ok());
}

TEST(SimdMathTest, VectorExpHasTheScalarBits) {
  ExpectVectorEqualsScalar(SimdMathProbe::kExp, Exp, false);
}

TEST(SimdMathTest, VectorSiluHasTheScalarBits) {
  ExpectVectorEqualsScalar(SimdMathProbe::kSilu, Silu, false);
}

TEST(SimdMathTest, VectorLogHasTheScalarBits) {
  ExpectVectorEqualsScalar(SimdMathProbe::kLog, Log, true);
}

TEST(SimdMathTest, VectorBF16RoundingIsThatOfBase) {
  ExpectVectorEqualsScalar(
      SimdMathProbe::kRoundToBF16, [](float x) { return base::RoundToBF16(x); }, false);
}

TEST(SimdMathTest, ExpIsAccurate) {
  for (float x = -87.0f; x < 88.7f; x += 0.0137f) {
    const double exact = std::exp(static_cast<double>(x));
    // One unit in the last place of the result, at most 2^-23 of it.
    EXPECT_NEAR(Exp(x), exact, exact * 0x1p-23) << x;
  }
}

TEST(SimdMathTest, ExpAtTheEdges) {
  EXPECT_EQ(Exp(0.0f), 1.0f);
  EXPECT_EQ(Exp(-0.0f), 1.0f);
  EXPECT_EQ(Exp(-kInf), 0.0f);
  EXPECT_EQ(Exp(-104.0f), 0.0f);
  EXPECT_EQ(Exp(kInf), kInf);
  EXPECT_EQ(Exp(89.0f), kInf);
  EXPECT_TRUE(std::isfinite(Exp(88.72f)));
  EXPECT_TRUE(std::isnan(Exp(std::numeric_limits<float>::quiet_NaN())));
}

TEST(SimdMathTest, SigmoidAndSiluAtTheEdges) {
  EXPECT_EQ(Sigmoid(0.0f), 0.5f);
  EXPECT_EQ(Sigmoid(-200.0f), 0.0f);
  EXPECT_EQ(Sigmoid(200.0f), 1.0f);
  EXPECT_EQ(Silu(200.0f), 200.0f);
  EXPECT_EQ(Silu(-200.0f), 0.0f);
}

TEST(SimdMathTest, LogIsAccurate) {
  EXPECT_EQ(Log(1.0f), 0.0f);
  for (float x = 1e-30f; x < 1e30f; x *= 1.0173f) {
    const double exact = std::log(static_cast<double>(x));
    EXPECT_NEAR(Log(x), exact, std::fabs(exact) * 0x1p-23 + 0x1p-30) << x;
  }
}

TEST(SimdMathTest, LaneReductionsHaveTheScalarBits) {
  std::vector<float> a(70), b(70);
  for (int i = 0; i < 70; ++i) {
    a[i] = 0.37f * static_cast<float>(i) - 3.0f;
    b[i] = 1.0f / static_cast<float>(i + 1);
  }
  for (const std::string& target : SupportedSimdTargets()) {
    ASSERT_TRUE(SetMaxSimdTarget(target).ok());
    for (const std::int64_t n : {0, 1, 15, 16, 17, 64, 70}) {
      EXPECT_EQ(SimdLaneSum(a.data(), n), LaneSum(a.data(), n)) << target << " " << n;
      EXPECT_EQ(SimdLaneDot(a.data(), b.data(), n), LaneDot(a.data(), b.data(), n))
          << target << " " << n;
    }
  }
  ASSERT_TRUE(SetMaxSimdTarget("auto").ok());
}

TEST(SimdTargetTest, LimitIsObeyedAndLifted) {
  const std::vector<std::string> targets = SupportedSimdTargets();
  const std::string active = ActiveSimdTarget();
  ASSERT_FALSE(targets.empty());
  const std::map<std::string, int> lanes = {{"avx512", 16}, {"avx2", 8}, {"neon", 4}};
  for (const std::string& target : targets) {
    ASSERT_TRUE(SetMaxSimdTarget(target).ok());
    // Asking must not change what dispatch does.
    EXPECT_EQ(ActiveSimdTarget(), target);
    EXPECT_EQ(SupportedSimdTargets().front(), target);
    if (lanes.contains(target)) {
      EXPECT_EQ(SimdVectorLanes(), lanes.at(target));
    }
  }
  ASSERT_TRUE(SetMaxSimdTarget("").ok());
  EXPECT_EQ(ActiveSimdTarget(), active);
  EXPECT_EQ(SupportedSimdTargets(), targets);
}

TEST(SimdTargetTest, UnknownNameIsRefused) {
  EXPECT_EQ(SetMaxSimdTarget("mmx").code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::kernels
