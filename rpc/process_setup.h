#pragma once

#include "absl/time/time.h"

namespace moesaic::rpc {

/// Settings of gRPC and Abseil that hold for the whole process. Call it first thing in main, before
/// any thread and any gRPC object exists.
///
/// - Abseil's lock-cycle detection, which Debian builds in, costs 12-17 % of a dispatch: off.
/// - gRPC's default poller (epoll1) has one designated poller per process: a thread that blocks in
///   any gRPC call takes events of the Dispatch streams away from the spinning thread and hands
///   them over late (535 instead of 21 us a round trip of one token when the cores are busy). With
///   "poll" every queue watches its own connections. An explicit GRPC_POLL_STRATEGY is respected.
/// - Under "poll" a channel that connects while no call waits for it is looked at by gRPC's backup
///   poller alone, every 5 s by default: a restarted shard was found again only then, and often too
///   late for its handshake. Every 100 ms instead. An explicit setting is respected.
/// - The soft limit of file descriptors, often 1024, becomes the hard one: a connection takes one.
void PrepareProcess();

/// How long a polling thread of a process with so many compute threads is to spin: 50 µs, or not at
/// all where they take every core. There it would keep one from the kernels: a decode step of one
/// stream on two cores took 3 to 5 % longer.
absl::Duration SpinBeside(int compute_threads);

}  // namespace moesaic::rpc
