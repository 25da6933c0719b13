#pragma once

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace moesaic::router {

class Strand;

/// The threads that parse, render, tokenise and detokenise, so that neither the io threads nor the
/// scheduler's loop do. Thread-safe; strands may outlive it and then drop what is posted to them.
class FrontEnd {
 public:
  /// `max_starting` bounds the requests handed to Start that have not been begun.
  FrontEnd(int threads, int max_starting);
  ~FrontEnd();
  FrontEnd(const FrontEnd&) = delete;
  FrontEnd& operator=(const FrontEnd&) = delete;

  /// An ordered queue of tasks on these threads, for one request.
  std::shared_ptr<Strand> NewStrand();
  /// Posts the first task of a request. Errors: ResourceExhausted when too many wait to begin.
  absl::Status Start(Strand& strand, absl::AnyInvocable<void()> task);
  /// Runs what has been posted and joins the threads. Idempotent; not from one of the threads.
  void Stop();

 private:
  friend class Strand;
  struct Shared;
  static void Work(Shared& shared);

  const std::shared_ptr<Shared> shared_;
  std::vector<std::thread> threads_;
};

/// Tasks of one request, run one at a time and in order. Thread-safe.
class Strand : public std::enable_shared_from_this<Strand> {
 public:
  /// Never refused for length: the events of a request are bounded by what it asked for.
  void Post(absl::AnyInvocable<void()> task);

 private:
  friend class FrontEnd;
  explicit Strand(std::shared_ptr<FrontEnd::Shared> shared) : shared_(std::move(shared)) {}

  const std::shared_ptr<FrontEnd::Shared> shared_;
  // Both guarded by shared_->mutex.
  std::deque<absl::AnyInvocable<void()>> tasks_;
  bool runnable_ = false;
};

}  // namespace moesaic::router
