#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/mutex.h"
#include "grpcpp/support/server_callback.h"

namespace moesaic::placement {

/// The server's side of one bidirectional stream whose answers are states: an unsent one is
/// replaced by the next, so a slow reader costs one message of memory. Keeps itself alive until
/// gRPC is done with it; hold it weakly or strongly as long as you like. Thread-safe.
template <typename Request, typename Response>
class StreamSession final : public grpc::ServerBidiReactor<Request, Response> {
 public:
  /// Both run on gRPC's threads and must not block (post to a loop). Return false from `received`
  /// to end the stream with ResourceExhausted: nobody has room for the message.
  struct Events {
    std::function<bool(Request)> received;
    std::function<void()> closed;  ///< Once, after the last `received`.
  };

  /// A new session, reading already. Return it to gRPC as the call's reactor.
  static std::shared_ptr<StreamSession> Start(
      std::function<Events(std::shared_ptr<StreamSession>)> make_events) {
    std::shared_ptr<StreamSession> session(new StreamSession);
    session->self_ = session;
    session->events_ = make_events(session);
    session->StartSendInitialMetadata();  // the client learns that it is connected
    session->StartRead(&session->request_);
    return session;
  }

  /// Sends `response`, or replaces the one that still waits to be sent. Nothing after End.
  void Send(Response response) {
    {
      base::MutexLock lock(mutex_);
      if (ending_) return;
      next_ = std::move(response);
      if (writing_) return;
      writing_ = true;
      current_ = *std::exchange(next_, std::nullopt);
    }
    this->StartWrite(&current_);
  }

  /// Ends the stream with `status`, after the write in progress. Idempotent; the first one counts.
  void End(grpc::Status status) {
    {
      base::MutexLock lock(mutex_);
      if (ending_) return;
      ending_ = status;
      next_.reset();
      if (writing_) return;
    }
    this->Finish(std::move(status));
  }

 private:
  StreamSession() = default;

  void OnReadDone(bool ok) override {
    if (!ok) return End(grpc::Status::OK);
    if (!events_.received(std::move(request_))) {
      return End({grpc::StatusCode::RESOURCE_EXHAUSTED, "the coordinator is overloaded"});
    }
    request_ = Request();
    this->StartRead(&request_);
  }

  void OnWriteDone(bool ok) override {
    std::optional<grpc::Status> ending;
    {
      base::MutexLock lock(mutex_);
      if (!ok && !ending_) ending_ = grpc::Status::CANCELLED;
      ending = ending_;
      writing_ = !ending && next_.has_value();
      if (writing_) current_ = *std::exchange(next_, std::nullopt);
      if (!ending && !writing_) return;
    }
    if (ending) return this->Finish(*std::move(ending));
    this->StartWrite(&current_);
  }

  void OnCancel() override { End(grpc::Status::CANCELLED); }

  void OnDone() override {
    // After every other reaction, by gRPC's own count. The lock states that order once more, for
    // ThreadSanitizer, which cannot see into the library.
    { base::MutexLock lock(mutex_); }
    events_.closed();
    events_ = {};   // they may hold the session
    self_.reset();  // last: this may be the only reference
  }

  Events events_;
  Request request_;   // belongs to the read in progress
  Response current_;  // belongs to the write in progress
  std::shared_ptr<StreamSession> self_;

  base::Mutex mutex_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Response> next_ ABSL_GUARDED_BY(mutex_);
  std::optional<grpc::Status> ending_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::placement
