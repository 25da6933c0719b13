#pragma once

#include <deque>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "grpcpp/support/server_callback.h"
#include "proto/moesaic/v1/inference.pb.h"

namespace moesaic::router {

/// The server's end of one Generate call: a bounded queue of responses in front of gRPC's one write
/// at a time. Owns itself until gRPC is done with it. Thread-safe.
class GenerateStream final : public grpc::ServerWriteReactor<v1::GenerateResponse>,
                             public std::enable_shared_from_this<GenerateStream> {
 public:
  /// `on_done` gets the status the call ended with, once gRPC is done with it.
  static std::shared_ptr<GenerateStream> Create(
      absl::AnyInvocable<void(const absl::Status&)> on_done);

  /// Queues a response. A client that does not read until the queue is full is cut off.
  void Send(v1::GenerateResponse response);
  /// Ends the call behind what is queued. The first end counts.
  void End(absl::Status status);
  /// `gone` is called once if the client goes away, or is cut off, before End; at once when it has.
  void OnDisconnect(absl::AnyInvocable<void()> gone);

  // gRPC's side.
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  explicit GenerateStream(absl::AnyInvocable<void(const absl::Status&)> on_done)
      : on_done_(std::move(on_done)) {}
  /// Gives up on the client.
  void CutOff(absl::Status status);
  /// Starts the next write, or finishes, if gRPC is free for it.
  void Advance();

  absl::AnyInvocable<void(const absl::Status&)> on_done_;
  std::shared_ptr<GenerateStream> self_;  // set by Create, cleared by OnDone

  base::Mutex mutex_;
  std::deque<v1::GenerateResponse> queue_ ABSL_GUARDED_BY(mutex_);
  std::size_t queued_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  bool disconnected_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void()> gone_ ABSL_GUARDED_BY(mutex_);
  // Being written; its place in queue_ is given up when the write is done.
  v1::GenerateResponse in_flight_;
};

}  // namespace moesaic::router
