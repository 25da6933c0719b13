#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/tensor.h"

namespace moesaic::rpc {

class BufferPool;

/// A reference to one block of a BufferPool, aligned to 64 bytes; the block returns to its pool
/// with the last reference. Copying shares the block. The block's bytes are unguarded; the handle
/// itself is thread-compatible.
class PooledBuffer {
 public:
  PooledBuffer() = default;
  PooledBuffer(const PooledBuffer& other);
  PooledBuffer(PooledBuffer&& other) noexcept;
  PooledBuffer& operator=(PooledBuffer other) noexcept;
  ~PooledBuffer();

  explicit operator bool() const { return block_ != nullptr; }
  std::byte* data() const;
  std::size_t capacity() const;

 private:
  friend class BufferPool;
  struct Block;
  explicit PooledBuffer(Block* block) : block_(block) {}

  Block* block_ = nullptr;
};

/// Blocks for messages, kept for reuse because a fresh large allocation costs a page fault per 4
/// KiB (about 1 µs each). Sizes are powers of two from 4 KiB. Blocks outlive the pool object when
/// they are still referenced. Thread-safe.
class BufferPool {
 public:
  /// Free blocks beyond `max_idle_bytes` in total go back to the allocator.
  explicit BufferPool(std::size_t max_idle_bytes = std::size_t{256} << 20);
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  /// A block of at least `bytes` bytes, content unspecified. Callers bound `bytes`; the process
  /// ends when memory is exhausted.
  PooledBuffer Take(std::size_t bytes);
  /// Bytes of all blocks alive, lent or idle.
  std::size_t allocated_bytes() const;

 private:
  friend class PooledBuffer;
  struct Shared;

  const std::shared_ptr<Shared> shared_;
};

}  // namespace moesaic::rpc
