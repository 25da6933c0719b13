#include "tests/testing/tensor_compare.h"

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "base/dtype.h"

namespace moesaic::testing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr Tolerance kLoose = {.absolute = 1e-3, .relative = 1e-3};

base::TensorView Row(std::vector<float>& values) {
  return base::TensorView::Host(values.data(), {1, static_cast<std::int64_t>(values.size())});
}

::testing::AssertionResult Close(std::vector<float> actual, std::vector<float> expected) {
  return AllClose(Row(actual), Row(expected), kLoose);
}

TEST(AllCloseTest, AcceptsWithinToleranceOnly) {
  EXPECT_TRUE(Close({1, -2, 0}, {1.0005f, -2.001f, 0.0005f}));
  EXPECT_FALSE(Close({1.01f}, {1}));
  EXPECT_FALSE(Close({0.99f}, {1}));
}

TEST(AllCloseTest, NegativeValuesAreComparedByDistance) {
  EXPECT_FALSE(Close({-1}, {-2}));
  EXPECT_FALSE(Close({-2}, {-1}));
  EXPECT_FALSE(Close({-1}, {1}));
  EXPECT_TRUE(Close({-1}, {-1}));
}

TEST(AllCloseTest, NotANumberFails) {
  EXPECT_FALSE(Close({kNan}, {1}));
  EXPECT_FALSE(Close({1}, {kNan}));
  EXPECT_FALSE(Close({kNan}, {kNan}));
}

TEST(AllCloseTest, InfinityFails) {
  EXPECT_FALSE(Close({kInf}, {1}));
  EXPECT_FALSE(Close({1}, {kInf}));
  EXPECT_FALSE(Close({kInf}, {kInf}));
  EXPECT_FALSE(Close({-kInf}, {kInf}));
}

TEST(AllCloseTest, OtherShapeFails) {
  std::vector<float> values(6, 1.0f);
  const auto a = base::TensorView::Host(values.data(), {2, 3});
  EXPECT_FALSE(AllClose(a, base::TensorView::Host(values.data(), {3, 2}), kLoose));
  EXPECT_FALSE(AllClose(a, base::TensorView::Host(values.data(), {6}), kLoose));
  EXPECT_FALSE(AllClose(a, base::TensorView::Host(values.data(), {2, 2}), kLoose));
}

TEST(BitsEqualTest, EveryBitCounts) {
  std::vector<float> a = {0.0f, 1.0f};
  std::vector<float> b = {0.0f, 1.0f};
  EXPECT_TRUE(BitsEqual(Row(a), Row(b)));
  b[0] = -0.0f;
  EXPECT_FALSE(BitsEqual(Row(a), Row(b)));
  b[0] = 0.0f;
  b[1] = std::nextafter(1.0f, 2.0f);
  EXPECT_FALSE(BitsEqual(Row(a), Row(b)));
}

TEST(BitsEqualTest, OtherTypeOrShapeFails) {
  std::vector<float> a = {0.0f, 0.0f};
  std::vector<std::uint16_t> b = {0, 0};
  EXPECT_FALSE(BitsEqual(Row(a), base::TensorView::Host(b.data(), {1, 2})));
  EXPECT_FALSE(BitsEqual(Row(a), base::TensorView::Host(a.data(), {2})));
}

}  // namespace
}  // namespace moesaic::testing
