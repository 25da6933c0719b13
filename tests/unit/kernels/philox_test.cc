#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <cmath>

namespace moesaic::kernels {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers of Random123 (kat_vectors, philox4x32 10).
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, DrawsAreUniformInTheUnitInterval) {
  constexpr int kDraws = 20000;
  double sum = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double u = UniformDraw({.seed = 42, .choice = 0, .position = i});
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
  }
  // Standard deviation of the mean: 1 / sqrt(12 n).
  EXPECT_NEAR(sum / kDraws, 0.5, 4 / std::sqrt(12.0 * kDraws));
}

TEST(PhiloxTest, EveryPartOfTheKeyCounts) {
  const SampleKey key = {.seed = 1, .choice = 2, .position = 3};
  const double u = UniformDraw(key);
  EXPECT_EQ(UniformDraw(key), u);
  EXPECT_NE(UniformDraw({.seed = 1 + (1ull << 32), .choice = 2, .position = 3}), u);
  EXPECT_NE(UniformDraw({.seed = 2, .choice = 2, .position = 3}), u);
  EXPECT_NE(UniformDraw({.seed = 1, .choice = 3, .position = 3}), u);
  EXPECT_NE(UniformDraw({.seed = 1, .choice = 2, .position = 4}), u);
  EXPECT_NE(UniformDraw({.seed = 1, .choice = 2, .position = 3 + (1ull << 32)}), u);
}

}  // namespace
}  // namespace moesaic::kernels
