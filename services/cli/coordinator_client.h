#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/moesaic/v1/coordinator.pb.h"

namespace moesaic::services {

/// Flags by which a command finds the coordinator.
struct CoordinatorAddressFlags {
  std::string state_dir;
  std::string coordinator;

  CoordinatorAddressFlags();
  void Declare(CLI::App& command);
  /// What was given, or the local cluster's. Errors: those of ReadClusterFile.
  absl::StatusOr<std::string> Resolve() const;
};

// Calls of the coordinator at `address`. Errors: those of the call, with the address named, e.g.
// Unavailable when it does not answer within 2 s.

/// One picture of the cluster.
absl::StatusOr<v1::DescribeClusterResponse> DescribeCluster(const std::string& address);
/// Has others take over what the shard holds, or ends that; says how far it is.
absl::StatusOr<v1::EvacuateShardResponse> EvacuateShard(const std::string& address,
                                                        const std::string& shard, bool cancel);
/// Says how many shards there are to be.
absl::Status ExpectShards(const std::string& address, int shards);
/// Looks for a better placement; carries it out unless `dry_run`.
absl::StatusOr<v1::RebalanceResponse> Rebalance(const std::string& address, bool dry_run);

/// Makes the shard at `address` refuse new work and waits up to `timeout` for what is in flight.
/// Returns how many dispatches are left.
absl::StatusOr<int> DrainShard(const std::string& address, absl::Duration timeout);

}  // namespace moesaic::services
