#include "services/flags/coordinator_flags.h"

#include "base/status_macros.h"
#include "services/flags/ledger_flags.h"
#include "services/flags/node_flags.h"
#include "services/process.h"

namespace moesaic::services {

void CoordinatorFlags::Declare(FlagTable& table) {
  table.Add("replicas", options.replicas, "Live copies wanted of each unit, on different shards")
      ->check(CLI::Range(1, 64));
  table.Add("lease-s", lease_s, "Seconds of silence after which a shard is gone")
      ->check(CLI::Range(0.1, 3600.0));
  table.Add("heartbeat-s", heartbeat_s, "Seconds between a shard's heartbeats")
      ->check(CLI::Range(0.01, 600.0));
  table.Add("policy", policy, "Placement policy: predicted-time, or eplb as DeepSeek published it")
      ->check(CLI::IsMember({"predicted-time", "eplb"}));
  table
      .Add("rebalance-interval-s", rebalance_interval_s,
           "Seconds between two looks for a better placement; 0 = only when shards come and go")
      ->check(CLI::Range(0.0, 86400.0));
  table
      .Add("emergency-after-s", emergency_after_s,
           "Seconds after which units whose last shard broke off are loaded elsewhere")
      ->check(CLI::Range(0.0, 3600.0));
  table.Add("parallel-moves", options.moves.parallel_moves, "Shards that load or unload at a time")
      ->check(CLI::Range(1, 4096));
  table.AddBytes("move-bytes-per-s", options.moves.move_bytes_per_s,
                 "Limit on what is loaded for a better balance, over all shards; 0 = none");
  DeclareNodeFlags(table, options.zone, options.node_share);
  DeclareLedgerFlags(table, options.ledger);
  table.Add("price-list", options.price_list,
            "File of what nodes cost (docs/cost.md); without it every price is unknown");
  table
      .Add("budget-per-month", options.budget_per_month,
           "What is meant to be spent a month, in the price list's currency; 0 = nothing is said")
      ->check(CLI::Range(0.0, 1e12));
  table.Add("share-dir", share_dir, "Folder with console/, the page of the coordinator");
  table.AddSwitch("insecure", options.insecure, "Allow listening beyond loopback without TLS");
}

void CoordinatorFlags::DeclareIdentity(FlagTable& table) {
  table.Add("listen", options.listen_address, "host:port to serve Coordinator on; port 0 = any");
  table.Add("http-listen", options.http_address,
            "host:port of /metrics and /console; empty = not served");
  DeclareLedgerQueueFlag(table, options.ledger);
  table.Add("node", options.node, "Machine this runs on");
  table.Add("expect-shards", options.expect_shards,
            "Shards wanted: make the first assignment when so many have registered; 0 = when none "
            "has come for a moment");
  table.AddSwitch("reflection", options.reflection, "Serve gRPC reflection");
}

absl::StatusOr<placement::CoordinatorOptions> CoordinatorFlags::Resolve() const {
  placement::CoordinatorOptions result = options;
  MOESAIC_RETURN_IF_ERROR(ResolveLedger("", result.ledger));
  result.build = BuildVersion();
  result.lease = absl::Seconds(lease_s);
  result.heartbeat = absl::Seconds(heartbeat_s);
  result.rebalance_interval = absl::Seconds(rebalance_interval_s);
  result.emergency_after = absl::Seconds(emergency_after_s);
  MOESAIC_ASSIGN_OR_RETURN(result.placement, placement::ParsePlacementPolicy(policy));
  if (!share_dir.empty()) result.console_dir = share_dir + "/console";
  result.moves.report_within = result.heartbeat;
  return result;
}

}  // namespace moesaic::services
