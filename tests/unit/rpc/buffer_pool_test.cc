#include "rpc/buffer_pool.h"

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::rpc {
namespace {

TEST(BufferPoolTest, BlocksAreAlignedAndLargeEnough) {
  BufferPool pool;
  for (const std::size_t bytes : {0, 1, 4096, 4097, 100000, 1 << 20}) {
    const PooledBuffer buffer = pool.Take(bytes);
    EXPECT_GE(buffer.capacity(), bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64, 0u);
  }
}

TEST(BufferPoolTest, ABlockReturnsWithItsLastReference) {
  BufferPool pool;
  PooledBuffer first = pool.Take(5000);
  std::byte* const data = first.data();
  PooledBuffer second = first;
  first = PooledBuffer();
  EXPECT_NE(pool.Take(5000).data(), data) << "still referenced";
  second = PooledBuffer();
  EXPECT_EQ(pool.Take(5000).data(), data);
}

TEST(BufferPoolTest, MemoryDoesNotGrowInSteadyState) {
  BufferPool pool;
  for (int i = 0; i < 1000; ++i) pool.Take(100000);
  EXPECT_EQ(pool.allocated_bytes(), 131072u);
}

TEST(BufferPoolTest, IdleMemoryIsBounded) {
  BufferPool pool(/*max_idle_bytes=*/8192);
  {
    std::vector<PooledBuffer> lent;
    for (int i = 0; i < 10; ++i) lent.push_back(pool.Take(4096));
    EXPECT_EQ(pool.allocated_bytes(), 40960u);
  }
  EXPECT_EQ(pool.allocated_bytes(), 8192u);
}

TEST(BufferPoolTest, ABlockMayOutliveThePool) {
  std::optional<BufferPool> pool(std::in_place);
  PooledBuffer buffer = pool->Take(10);
  pool.reset();
  buffer.data()[0] = std::byte{1};
}

TEST(BufferPoolTest, ManyThreads) {
  BufferPool pool;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&pool, t] {
      for (int i = 0; i < 500; ++i) {
        const PooledBuffer buffer = pool.Take(4096);
        buffer.data()[0] = static_cast<std::byte>(t);
        const PooledBuffer copy = buffer;
        EXPECT_EQ(copy.data()[0], static_cast<std::byte>(t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(pool.allocated_bytes(), 4 * 4096u);
}

}  // namespace
}  // namespace moesaic::rpc
