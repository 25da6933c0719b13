#pragma once

#include <cstddef>
#include <deque>

#include "base/mutex.h"
#include "grpcpp/support/byte_buffer.h"

namespace moesaic::rpc {

/// Messages waiting to be written to one gRPC stream, which takes one write at a time. It decides
/// who starts the next write; the write itself happens outside its lock. Thread-safe.
class WriteQueue {
 public:
  explicit WriteQueue(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  enum class Pushed {
    kStart,   ///< The caller must now write `message`.
    kQueued,  ///< Another write is in flight; `message` was taken.
    kFull,    ///< Refused: more than the limit would wait.
    kClosed,  ///< Refused: after Close.
  };
  /// Adds `message` (taken by swapping, unless the caller is to write it).
  Pushed Push(grpc::ByteBuffer& message);

  /// The write in flight has ended. True: the caller must now write `next`.
  bool Written(grpc::ByteBuffer& next);

  /// Drops what waits and takes no more. True when no write is in flight; otherwise the next
  /// Written is the last one.
  bool Close();

 private:
  const std::size_t max_bytes_;
  base::Mutex mutex_;
  std::deque<grpc::ByteBuffer> waiting_ ABSL_GUARDED_BY(mutex_);
  std::size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moesaic::rpc
