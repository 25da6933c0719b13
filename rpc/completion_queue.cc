#include "rpc/completion_queue.h"

#include <chrono>
#include <utility>

#include "base/check.h"
#include "rpc/grpc_ordering.h"

namespace moesaic::rpc {

void* CompletionEvent::Tag() {
  MarkReleased(this);
  return this;
}

CompletionQueuePoller::CompletionQueuePoller(absl::Duration spin)
    : spin_(spin), queue_(std::make_unique<grpc::CompletionQueue>()) {}

CompletionQueuePoller::CompletionQueuePoller(absl::Duration spin,
                                             std::unique_ptr<grpc::ServerCompletionQueue> queue)
    : spin_(spin), queue_(std::move(queue)) {}

CompletionQueuePoller::~CompletionQueuePoller() { Shutdown(); }

void CompletionQueuePoller::Start() {
  MOESAIC_CHECK(!thread_.joinable() && !shut_down_);
  thread_ = std::thread([this] { Run(); });
}

void CompletionQueuePoller::Shutdown() {
  if (shut_down_) return;
  shut_down_ = true;
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Run();  // Never started: gRPC wants the queue drained all the same.
  }
}

void CompletionQueuePoller::Deliver(void* tag, bool ok) {
  MarkAcquired(tag);
  static_cast<CompletionEvent*>(tag)->OnEvent(ok);
}

void CompletionQueuePoller::Run() {
  using std::chrono::steady_clock;
  const auto spin = absl::ToChronoNanoseconds(spin_);
  const gpr_timespec past = gpr_inf_past(GPR_CLOCK_MONOTONIC);
  auto spin_until = steady_clock::now() + spin;
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    switch (queue_->AsyncNext(&tag, &ok, past)) {
      case grpc::CompletionQueue::SHUTDOWN:
        return;
      case grpc::CompletionQueue::GOT_EVENT:
        Deliver(tag, ok);
        spin_until = steady_clock::now() + spin;
        continue;
      case grpc::CompletionQueue::TIMEOUT:
        break;
    }
    if (steady_clock::now() < spin_until) continue;
    if (!queue_->Next(&tag, &ok)) return;
    Deliver(tag, ok);
    spin_until = steady_clock::now() + spin;
  }
}

}  // namespace moesaic::rpc
