#pragma once

#include <memory>
#include <thread>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "grpcpp/completion_queue.h"

namespace moesaic::rpc {

/// The object behind a completion-queue tag. Lives until its event has been delivered.
class CompletionEvent {
 public:
  virtual ~CompletionEvent() = default;
  /// `ok` as in grpc::CompletionQueue::Next. Runs on the polling thread; must not block.
  virtual void OnEvent(bool ok) = 0;

  /// The tag to start an operation with. Marks everything written before as visible to OnEvent:
  /// gRPC's own ordering is invisible to ThreadSanitizer in an uninstrumented library.
  void* Tag();
};

/// One thread that delivers the events of one completion queue: it spins for a while after each
/// event, because waking a blocked thread costs more than a dispatch of one token (16 instead of
/// 50 µs a round trip), then blocks. Thread-safe.
class CompletionQueuePoller {
 public:
  /// A queue for a client.
  explicit CompletionQueuePoller(absl::Duration spin);
  /// A server's queue, from ServerBuilder::AddCompletionQueue.
  CompletionQueuePoller(absl::Duration spin, std::unique_ptr<grpc::ServerCompletionQueue> queue);
  /// Shuts down if that has not been done.
  ~CompletionQueuePoller();

  grpc::CompletionQueue* queue() const { return queue_.get(); }
  /// Begins polling.
  void Start();
  /// Delivers what is still to come and joins the thread. Every operation on the queue must end by
  /// itself (streams cancelled, server shut down), and none may be started any more. Idempotent;
  /// not on the polling thread.
  void Shutdown();
  bool OnPollingThread() const { return std::this_thread::get_id() == thread_.get_id(); }

 private:
  void Run();
  static void Deliver(void* tag, bool ok);

  const absl::Duration spin_;
  const std::unique_ptr<grpc::CompletionQueue> queue_;
  std::thread thread_;
  bool shut_down_ = false;
};

}  // namespace moesaic::rpc
