#include "base/memory.h"

#include <gtest/gtest.h>

namespace moesaic::base {
namespace {

TEST(MemoryTest, SomeIsAvailable) {
  const auto bytes = AvailableMemoryBytes();
  ASSERT_TRUE(bytes.ok());
  EXPECT_GT(*bytes, std::uint64_t{1} << 20);
  EXPECT_LT(*bytes, std::uint64_t{1} << 50);
}

}  // namespace
}  // namespace moesaic::base
