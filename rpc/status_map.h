#pragma once

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace moesaic::rpc {

/// The one mapping between absl::Status and grpc::Status: code and message, and the retry delay
/// (base/retry_delay.h) as
/// a google.rpc.Status with a google.rpc.RetryInfo in the details, which other gRPC clients read.
grpc::Status ToGrpcStatus(const absl::Status& status);
/// Inverse of ToGrpcStatus; details it does not understand are left out, a code outside the
/// canonical ones becomes Unknown.
absl::Status FromGrpcStatus(const grpc::Status& status);

}  // namespace moesaic::rpc
