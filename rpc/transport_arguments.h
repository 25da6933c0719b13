#pragma once

namespace moesaic::rpc {

// What both ends of a connection must agree on, in gRPC's channel arguments.

/// A silent connection is probed after this long and given up after as long again.
inline constexpr int kKeepaliveTimeMs = 2000;
inline constexpr int kKeepaliveTimeoutMs = 2000;
/// What a server tolerates between probes; gRPC's default of 5 minutes would cut our clients off.
inline constexpr int kMinProbeIntervalMs = 1000;
/// One attempt to connect, TLS and HTTP/2 settings included.
inline constexpr int kConnectTimeoutMs = 5000;
/// Dispatches have 1 MiB; placements of a large model are the largest other messages.
inline constexpr int kMaxGrpcMessageBytes = 64 << 20;

/// Calls in progress on one connection; further ones wait in the client.
inline constexpr int kMaxConnectionStreams = 1024;
/// Metadata of a call: names, values and 32 bytes for each pair.
inline constexpr int kMaxMetadataBytes = 16 << 10;

}  // namespace moesaic::rpc
