#pragma once

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "grpcpp/support/status.h"

namespace moesaic::rpc {

/// The one mapping between absl::Status and grpc::Status: code and message, and the retry delay as
/// a google.rpc.Status with a google.rpc.RetryInfo in the details, which other gRPC clients read.
grpc::Status ToGrpcStatus(const absl::Status& status);
/// Inverse of ToGrpcStatus; details it does not understand are left out, a code outside the
/// canonical ones becomes Unknown.
absl::Status FromGrpcStatus(const grpc::Status& status);

/// Attaches "try again after `delay`" to an error. OK statuses stay as they are.
absl::Status WithRetryDelay(absl::Status status, absl::Duration delay);
/// The delay attached by WithRetryDelay; nullopt without one.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

}  // namespace moesaic::rpc
