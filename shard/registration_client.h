#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"

namespace grpc {
class ChannelInterface;
}  // namespace grpc

namespace moesaic::shard {

/// A shard's session with the coordinator: registers, sends heartbeats and whatever changes at
/// once, and registers again when the stream breaks, for ever. Owns its threads, joined by the
/// destructor. Thread-safe.
class RegistrationClient {
 public:
  struct Options {
    v1::ShardRegistration registration;
    /// Until the coordinator names another.
    absl::Duration heartbeat = absl::Seconds(1);
    absl::Duration initial_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(1);
  };
  /// The state of the shard now: everything in a report but the registration and, when
  /// `with_units` is false, the units held.
  using MakeReport = std::function<v1::ShardReport(bool with_units)>;
  /// What the coordinator says; an error ends the session (another follows).
  using OnDirective = std::function<absl::Status(const v1::ShardDirective&)>;

  /// Starts at once. `channel` comes from rpc/'s factory. The functions are called on this object's
  /// threads.
  RegistrationClient(Options options, std::shared_ptr<grpc::ChannelInterface> channel,
                     MakeReport make_report, OnDirective on_directive);
  ~RegistrationClient();

  /// Something a report holds has changed: one is sent at once. Does not block.
  void ReportChange();
  /// True between the coordinator's first directive and the end of the session.
  bool registered() const;
  /// Ends the session. Idempotent.
  void Stop();

 private:
  using Stream = grpc::ClientReaderWriterInterface<v1::ShardReport, v1::ShardDirective>;

  void Run();
  /// One session from registration to the end. Returns why it ended.
  absl::Status RunSession();
  /// Sends reports until the stream breaks or Stop.
  void SendReports(Stream& stream);
  /// Receives directives until the stream ends. Returns why this side ended it, if it did.
  absl::Status ReceiveDirectives(Stream& stream);
  bool BeginSession(grpc::ClientContext& context);
  void EndSession();
  /// Waits until a report is due. Returns whether units go with it; nullopt at the session's end.
  std::optional<bool> AwaitReport();
  /// Sleeps for `delay`; false when stopping.
  bool Pause(absl::Duration delay);

  const Options options_;
  const std::shared_ptr<grpc::ChannelInterface> channel_;
  const MakeReport make_report_;
  const OnDirective on_directive_;

  mutable base::Mutex mutex_;
  base::CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool registered_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Duration heartbeat_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;

  std::thread thread_;
};

}  // namespace moesaic::shard
