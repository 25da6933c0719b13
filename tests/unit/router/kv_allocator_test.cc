#include "router/scheduler/kv_allocator.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace moesaic::router {
namespace {

TEST(KvAllocatorTest, GivesEveryBlockOnceAndThenRefuses) {
  KvAllocator kv(3);
  std::vector<std::int32_t> table;
  ASSERT_TRUE(kv.Allocate(2, table));
  EXPECT_FALSE(kv.Allocate(2, table));
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(kv.free_blocks(), 1);
  kv.Release(table);
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(kv.free_blocks(), 3);
}

TEST(KvAllocatorTest, ASharedBlockStaysUntilTheLastUserLetsGo) {
  KvAllocator kv(1);
  std::vector<std::int32_t> first;
  ASSERT_TRUE(kv.Allocate(1, first));
  std::vector<std::int32_t> second = first;
  kv.Share(second);
  kv.Release(first);
  EXPECT_EQ(kv.free_blocks(), 0);
  kv.Release(second);
  EXPECT_EQ(kv.free_blocks(), 1);
}

TEST(KvAllocatorTest, AgreesWithAModelOverRandomOperations) {
  constexpr int kBlocks = 17;
  std::mt19937 random(20260101);
  KvAllocator kv(kBlocks);
  std::vector<std::vector<std::int32_t>> tables;
  for (int step = 0; step < 5000; ++step) {
    const auto pick = random() % 3;
    if (pick == 0) {
      const auto count = static_cast<std::int32_t>(random() % 5);
      const bool fits = count <= kv.free_blocks();
      std::vector<std::int32_t> table;
      ASSERT_EQ(kv.Allocate(count, table), fits);
      if (fits) tables.push_back(table);
    } else if (pick == 1 && !tables.empty()) {
      tables.push_back(tables[random() % tables.size()]);
      kv.Share(tables.back());
    } else if (!tables.empty()) {
      std::swap(tables[random() % tables.size()], tables.back());
      kv.Release(tables.back());
      tables.pop_back();
    }
    std::map<std::int32_t, std::int32_t> users;
    for (const auto& table : tables) {
      for (const std::int32_t block : table) ++users[block];
    }
    ASSERT_EQ(kv.free_blocks(), kBlocks - static_cast<std::int32_t>(users.size()));
    for (std::int32_t block = 0; block < kBlocks; ++block) {
      ASSERT_EQ(kv.users(block), users.contains(block) ? users[block] : 0);
    }
  }
}

TEST(KvAllocatorTest, BlocksForRoundsUp) {
  EXPECT_EQ(BlocksFor(0, 16), 0);
  EXPECT_EQ(BlocksFor(1, 16), 1);
  EXPECT_EQ(BlocksFor(16, 16), 1);
  EXPECT_EQ(BlocksFor(17, 16), 2);
}

}  // namespace
}  // namespace moesaic::router
