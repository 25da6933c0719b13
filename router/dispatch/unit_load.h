#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "placement/view/load_report.h"
#include "router/dispatch/dispatch_stats.h"
#include "router/dispatch/expert_call_state.h"

namespace moesaic::router {

/// Counts what a router's calls ask of each unit between two reports. Memory: two numbers per unit
/// and one per expert. Thread-compatible.
class UnitLoad {
 public:
  /// `topology` is the one counted for from now on; another one than before starts afresh.
  void SetTopology(const placement::ExpertTopology& topology, absl::Duration now);
  /// A call begins. Nothing is counted before the first topology.
  void Count(const ExpertCallState& call);
  /// What was counted since the last report. shards: their counters since the start, from which
  /// those of the last report are taken off.
  placement::LoadReport Take(const std::vector<ShardDispatchStats>& shards, absl::Duration now);

 private:
  placement::ExpertTopology topology_;
  absl::Duration since_;
  std::uint64_t calls_ = 0;
  std::vector<std::uint32_t> rows_;       // [units]
  std::vector<std::uint32_t> experts_;    // [units] distinct ones, summed over calls
  std::vector<std::uint64_t> last_call_;  // [layers * experts] the last call that touched it
  /// By name, at the last report in which each shard was; also those that are away.
  absl::flat_hash_map<std::string, ShardDispatchStats> before_;
};

}  // namespace moesaic::router
