#include "rpc/buffer_pool.h"

#include <array>
#include <bit>
#include <utility>

#include "base/check.h"

namespace moesaic::rpc {
namespace {

/// The smallest block: a page. 2^40 bytes is beyond any message.
constexpr int kMinClass = 12;
constexpr int kMaxClass = 40;

int SizeClass(std::size_t bytes) {
  return bytes <= (std::size_t{1} << kMinClass) ? kMinClass : std::bit_width(bytes - 1);
}

}  // namespace

struct PooledBuffer::Block {
  std::atomic<std::uint32_t> references{1};
  int size_class = 0;
  base::Buffer memory;
  /// Set while the block is lent, so that it can come back after the pool object has gone.
  std::shared_ptr<BufferPool::Shared> owner;
};

struct BufferPool::Shared {
  explicit Shared(std::size_t max_idle) : max_idle_bytes(max_idle) {}
  ~Shared() {
    for (auto& list : idle) {
      for (PooledBuffer::Block* block : list) delete block;
    }
  }

  /// Takes back a block nobody refers to.
  void Return(PooledBuffer::Block* block) {
    const std::size_t bytes = block->memory.bytes();
    {
      base::MutexLock lock(mutex);
      if (idle_bytes + bytes <= max_idle_bytes) {
        idle_bytes += bytes;
        idle[block->size_class].push_back(block);
        return;
      }
    }
    allocated_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    delete block;
  }

  const std::size_t max_idle_bytes;
  std::atomic<std::size_t> allocated_bytes{0};
  base::Mutex mutex;
  std::size_t idle_bytes ABSL_GUARDED_BY(mutex) = 0;
  /// By size class; the block used last is lent first, because its pages are in the cache.
  std::array<std::vector<PooledBuffer::Block*>, kMaxClass + 1> idle ABSL_GUARDED_BY(mutex);
};

PooledBuffer::PooledBuffer(const PooledBuffer& other) : block_(other.block_) {
  if (block_ != nullptr) block_->references.fetch_add(1, std::memory_order_relaxed);
}

PooledBuffer::PooledBuffer(PooledBuffer&& other) noexcept
    : block_(std::exchange(other.block_, nullptr)) {}

PooledBuffer& PooledBuffer::operator=(PooledBuffer other) noexcept {
  std::swap(block_, other.block_);
  return *this;
}

PooledBuffer::~PooledBuffer() {
  if (block_ == nullptr || block_->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  const std::shared_ptr<BufferPool::Shared> owner = std::move(block_->owner);
  owner->Return(block_);
}

std::byte* PooledBuffer::data() const { return block_->memory.As<std::byte>(); }
std::size_t PooledBuffer::capacity() const { return block_->memory.bytes(); }

BufferPool::BufferPool(std::size_t max_idle_bytes)
    : shared_(std::make_shared<Shared>(max_idle_bytes)) {}
BufferPool::~BufferPool() = default;

PooledBuffer BufferPool::Take(std::size_t bytes) {
  const int size_class = SizeClass(bytes);
  MOESAIC_CHECK(size_class <= kMaxClass);
  PooledBuffer::Block* block = nullptr;
  {
    base::MutexLock lock(shared_->mutex);
    auto& list = shared_->idle[size_class];
    if (!list.empty()) {
      block = list.back();
      list.pop_back();
      shared_->idle_bytes -= block->memory.bytes();
    }
  }
  if (block == nullptr) {
    auto memory = base::Buffer::Allocate(std::size_t{1} << size_class);
    MOESAIC_CHECK(memory.ok());
    block = new PooledBuffer::Block;
    block->size_class = size_class;
    block->memory = *std::move(memory);
    shared_->allocated_bytes.fetch_add(block->memory.bytes(), std::memory_order_relaxed);
  }
  block->references.store(1, std::memory_order_relaxed);
  block->owner = shared_;
  return PooledBuffer(block);
}

std::size_t BufferPool::allocated_bytes() const {
  return shared_->allocated_bytes.load(std::memory_order_relaxed);
}

}  // namespace moesaic::rpc
