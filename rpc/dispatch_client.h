#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "rpc/buffer_pool.h"
#include "rpc/completion_queue.h"
#include "rpc/credentials.h"
#include "rpc/dispatch_message.h"
#include "rpc/handshake.h"

namespace moesaic::rpc {

/// What happens on a DispatchClient's stream. All calls come from the queue's polling thread, never
/// under a lock of the client, and must not block. Order: connected, replies, broken, again.
class DispatchClientHandler {
 public:
  virtual ~DispatchClientHandler() = default;
  /// The stream is up and the shard's hello has passed CheckHello.
  virtual void OnConnected(const PeerHello& shard) = 0;
  /// One part of an answer.
  virtual void OnReply(DispatchReply reply) = 0;
  /// A connected stream ended (everything unanswered on it is lost), or an attempt to connect
  /// failed. The client goes on trying. Not called for the end that Stop brings about.
  virtual void OnBroken(const absl::Status& status) = 0;
};

/// A router's Dispatch stream to one shard and lane, on a connection of its own; reconnects for
/// ever with back-off. Thread-safe.
class DispatchClient {
 public:
  struct Options {
    std::string address;  ///< host:port
    Lane lane = Lane::kDecode;
    LocalHello hello;
    Credentials credentials = {};
    /// Limits of the wait between two attempts.
    absl::Duration initial_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(1);
    /// Time an attempt may take until the shard's hello has come.
    absl::Duration connect_timeout = absl::Seconds(5);
    /// Send refuses when more than this waits to be written.
    std::size_t max_write_queue_bytes = std::size_t{64} << 20;
  };

  /// Starts connecting. `poller`, `pool` and `handler` are borrowed and outlive the client.
  static absl::StatusOr<std::unique_ptr<DispatchClient>> Start(Options options,
                                                               CompletionQueuePoller& poller,
                                                               BufferPool& pool,
                                                               DispatchClientHandler& handler);
  /// Stops if that has not been done.
  ~DispatchClient();

  /// Ends the stream; returns when no callback runs or will run. Idempotent; not on the polling
  /// thread.
  void Stop();

  /// Queues one dispatch of at most kMaxMessageBytes. Errors: Unavailable when not connected;
  /// ResourceExhausted when the write queue is full.
  absl::Status Send(const Dispatch& dispatch);
  /// Tells the shard that work is no longer wanted; nothing when not connected.
  void Cancel(absl::Span<const std::uint64_t> dispatch_ids);
  bool connected() const;
  /// Why the last attempt or stream ended; OK while connected or before the first end.
  absl::Status last_error() const;

 private:
  class Impl;
  explicit DispatchClient(std::shared_ptr<Impl> impl);
  const std::shared_ptr<Impl> impl_;
};

}  // namespace moesaic::rpc
