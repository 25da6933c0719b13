#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/moesaic/v1/common.pb.h"
#include "rpc/dispatch_message.h"
#include "rpc/model_identity.h"

namespace moesaic::rpc {

/// Protocol versions this build speaks.
inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

/// What a process says of itself when a Dispatch stream opens. Immutable value.
struct LocalHello {
  std::string sender = {};  ///< Stable name: a router's or a shard's.
  std::string build;
  std::uint64_t incarnation = 0;  ///< Differs each time the process starts.
  ModelIdentity model;
  std::vector<WireDtype> wire_dtypes;  ///< What this process can read.
  /// Shard only: bytes of undone dispatches a router may have in flight per stream.
  std::uint64_t credit_bytes = 0;
};

/// What the other side said, checked.
struct PeerHello {
  std::string sender;
  std::string build;
  std::uint64_t incarnation = 0;
  ModelIdentity model;
  std::vector<WireDtype> wire_dtypes;
  std::uint64_t credit_bytes = 0;
  Lane lane = Lane::kDecode;   ///< As the router said; kDecode in a shard's hello.
  std::uint32_t protocol = 0;  ///< Newest version both speak.
};

/// The message for the other side. `lane`: of the stream, as the router chose it.
v1::Hello MakeHello(const LocalHello& local, Lane lane);

/// Checks the other side's hello against ours: protocol ranges overlap; fingerprint, numerics id,
/// hidden size and unit size are equal. Errors: FailedPrecondition naming the field and both
/// values; InvalidArgument for a hello without a sender or with an unknown lane.
absl::StatusOr<PeerHello> CheckHello(const LocalHello& ours, const v1::Hello& theirs);

}  // namespace moesaic::rpc
