#include "rpc/write_queue.h"

namespace moesaic::rpc {

WriteQueue::Pushed WriteQueue::Push(grpc::ByteBuffer& message) {
  const std::size_t bytes = message.Length();
  base::MutexLock lock(mutex_);
  if (closed_) return Pushed::kClosed;
  if (!writing_) {
    writing_ = true;
    return Pushed::kStart;
  }
  if (waiting_bytes_ + bytes > max_bytes_) return Pushed::kFull;
  waiting_bytes_ += bytes;
  waiting_.emplace_back().Swap(&message);
  return Pushed::kQueued;
}

bool WriteQueue::Written(grpc::ByteBuffer& next) {
  base::MutexLock lock(mutex_);
  if (waiting_.empty()) {
    writing_ = false;
    return false;
  }
  next.Swap(&waiting_.front());
  waiting_.pop_front();
  waiting_bytes_ -= next.Length();
  return true;
}

bool WriteQueue::Close() {
  base::MutexLock lock(mutex_);
  closed_ = true;
  waiting_.clear();
  waiting_bytes_ = 0;
  return !writing_;
}

}  // namespace moesaic::rpc
