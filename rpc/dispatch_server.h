#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_message.h"
#include "rpc/handshake.h"

namespace grpc {
class ServerBuilder;
}  // namespace grpc

namespace moesaic::rpc {

/// Names one open Dispatch stream; never reused within a process.
using StreamId = std::uint64_t;

/// Base of a shard's gRPC service: Dispatch is served by DispatchServer over raw bytes, the unary
/// methods are overridden as usual.
using ExpertShardServiceBase = v1::ExpertShard::WithRawMethod_Dispatch<v1::ExpertShard::Service>;

/// What a shard does with its Dispatch streams. All calls come from the server's one polling thread
/// and must not block; for one stream they come in the order open, dispatch or cancel, close.
class DispatchHandler {
 public:
  virtual ~DispatchHandler() = default;
  /// A router has connected and its hello has passed CheckHello. An error refuses the stream.
  virtual absl::Status OnOpen(StreamId stream, const PeerHello& router) = 0;
  /// Work arrived. Answer it with DispatchServer::Reply, now or from any thread later.
  virtual void OnDispatch(StreamId stream, Dispatch dispatch) = 0;
  /// Work is no longer wanted; ids that are unknown or done are to be ignored.
  virtual void OnCancel(StreamId stream, absl::Span<const std::uint64_t> dispatch_ids) = 0;
  /// The stream has ended; nobody waits for its replies. Follows every successful OnOpen once.
  virtual void OnClose(StreamId stream) = 0;
};

/// The shard's side of ExpertShard.Dispatch: many streams over one completion queue and one polling
/// thread. A malformed message, an overfull write queue or a wrong hello ends its stream with a
/// status that says so. A router that closes its side gets the answers it still waits for. Give it
/// to StartServer, which registers the service and runs it. Thread-safe.
class DispatchServer {
 public:
  struct Options {
    LocalHello hello;
    /// How long the polling thread spins after the last event before it blocks. Both ends must
    /// spin to gain, and never more spinners than cores; 0 on a machine shared with compute.
    absl::Duration spin = absl::Microseconds(50);
    /// Streams refused beyond this number (ResourceExhausted).
    int max_streams = 1024;
    /// A stream whose reader leaves more replies than this unread is ended.
    std::size_t max_write_queue_bytes = std::size_t{256} << 20;
  };

  /// `service`, `handler` and `pool` are borrowed and outlive the server.
  DispatchServer(Options options, ExpertShardServiceBase& service, DispatchHandler& handler,
                 BufferPool& pool);
  ~DispatchServer();
  DispatchServer(const DispatchServer&) = delete;
  DispatchServer& operator=(const DispatchServer&) = delete;

  /// Sends the answer to a dispatch, split into parts of at most 1 MiB. Dropped when the stream has
  /// ended. Any thread; does not block.
  void Reply(StreamId stream, const DispatchReply& reply);
  /// Open streams.
  int stream_count() const;

  /// For StartServer: adds the completion queue; begins to serve after the server was started; and
  /// ends serving after the server was shut down (joins the polling thread).
  void Register(grpc::ServerBuilder& builder);
  void Start();
  void Stop();

 private:
  class Stream;
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::rpc
