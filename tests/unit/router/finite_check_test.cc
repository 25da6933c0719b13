#include "router/engine/finite_check.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace moesaic::router {
namespace {

struct FiniteCase {
  base::DType dtype;
  std::uint32_t finite;                   ///< The largest finite value.
  std::vector<std::uint32_t> non_finite;  ///< Infinities and NaN of both signs.
};

const FiniteCase kFiniteCases[] = {
    {base::DType::kF32, 0x7F7FFFFF, {0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001}},
    {base::DType::kBF16, 0x7F7F, {0x7F80, 0xFF80, 0x7FC0, 0xFF81}},
    {base::DType::kF16, 0x7BFF, {0x7C00, 0xFC00, 0x7E00, 0xFC01}},
    {base::DType::kF8E4M3, 0x7E, {0x7F, 0xFF}},
};

TEST(FiniteCheckTest, FindsOneBadElementAnywhere) {
  base::ComputePool pool(2);
  constexpr std::int64_t kElements = (std::int64_t{1} << 18) + 5;  // two chunks
  for (const FiniteCase& c : kFiniteCases) {
    const std::size_t size = DTypeBytes(c.dtype);
    std::vector<std::byte> bytes(1 + kElements * size);
    const auto set = [&](std::int64_t i, std::uint32_t bits) {
      std::memcpy(bytes.data() + 1 + i * size, &bits, size);
    };
    const base::TensorView tensor(bytes.data() + 1, c.dtype, {kElements});  // unaligned
    set(3, c.finite);
    EXPECT_TRUE(AllFinite(tensor, pool));
    for (const std::uint32_t bits : c.non_finite) {
      for (const std::int64_t at : {std::int64_t{0}, kElements - 1}) {
        set(at, bits);
        EXPECT_FALSE(AllFinite(tensor, pool)) << base::DTypeName(c.dtype) << " " << bits;
        set(at, 0);
      }
    }
  }
}

TEST(FiniteCheckTest, AnEmptyTensorIsFinite) {
  base::ComputePool pool(1);
  EXPECT_TRUE(AllFinite(base::TensorView(nullptr, base::DType::kF32, {0}), pool));
}

}  // namespace
}  // namespace moesaic::router
