#include "router/api/front_end.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace moesaic::router {

struct FrontEnd::Shared {
  explicit Shared(int max_starting) : max_starting(max_starting) {}

  const int max_starting;
  base::Mutex mutex;
  base::CondVar changed;
  /// Strands with tasks, none of them being run.
  std::deque<std::shared_ptr<Strand>> runnable ABSL_GUARDED_BY(mutex);
  int starting ABSL_GUARDED_BY(mutex) = 0;
  bool stopping ABSL_GUARDED_BY(mutex) = false;
};

FrontEnd::FrontEnd(int threads, int max_starting)
    : shared_(std::make_shared<Shared>(max_starting)) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([shared = shared_] { Work(*shared); });
  }
}

FrontEnd::~FrontEnd() { Stop(); }

std::shared_ptr<Strand> FrontEnd::NewStrand() {
  return std::shared_ptr<Strand>(new Strand(shared_));
}

absl::Status FrontEnd::Start(Strand& strand, absl::AnyInvocable<void()> task) {
  {
    base::MutexLock lock(shared_->mutex);
    if (shared_->starting >= shared_->max_starting) {
      return absl::ResourceExhaustedError(
          absl::StrCat("too many requests wait to be read (", shared_->max_starting, ")"));
    }
    ++shared_->starting;
  }
  strand.Post([shared = shared_, task = std::move(task)]() mutable {
    {
      base::MutexLock lock(shared->mutex);
      --shared->starting;
    }
    task();
  });
  return absl::OkStatus();
}

void FrontEnd::Stop() {
  {
    base::MutexLock lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->changed.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void FrontEnd::Work(Shared& shared) {
  for (;;) {
    std::shared_ptr<Strand> strand;
    absl::AnyInvocable<void()> task;
    {
      base::MutexLock lock(shared.mutex);
      while (shared.runnable.empty() && !shared.stopping) shared.changed.Wait(shared.mutex);
      if (shared.runnable.empty()) return;
      strand = std::move(shared.runnable.front());
      shared.runnable.pop_front();
      task = std::move(strand->tasks_.front());
      strand->tasks_.pop_front();
    }
    task();
    task = nullptr;  // what it captured goes before the strand's next task, outside the lock
    base::MutexLock lock(shared.mutex);
    // One task at a turn: a long stream does not keep the thread from others.
    if (strand->tasks_.empty()) {
      strand->runnable_ = false;
    } else {
      shared.runnable.push_back(std::move(strand));
      shared.changed.NotifyOne();
    }
  }
}

void Strand::Post(absl::AnyInvocable<void()> task) {
  {
    base::MutexLock lock(shared_->mutex);
    // A strand that is being worked on may go on while the threads are stopping.
    if (shared_->stopping && !runnable_) return;
    tasks_.push_back(std::move(task));
    if (std::exchange(runnable_, true)) return;
    shared_->runnable.push_back(shared_from_this());
  }
  shared_->changed.NotifyOne();
}

}  // namespace moesaic::router
