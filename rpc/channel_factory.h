#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rpc/credentials.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace moesaic::rpc {

/// What a channel is made of. Every channel of Moesaic comes from MakeChannel.
struct ChannelOptions {
  Credentials credentials = {};
  /// True gives the channel a connection of its own instead of sharing one per address.
  bool own_connection = false;
  /// Limits of the wait between two attempts to connect (gRPC's default grows to 120 s).
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(1);
};

/// A channel to host:port. It connects on first use; gRPC's own retries and compression are off.
/// Errors: those of MakeChannelCredentials; InvalidArgument for an empty address.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const std::string& address,
                                                           const ChannelOptions& options);

}  // namespace moesaic::rpc
