#include "services/flags/shard_flags.h"

#include "base/status_macros.h"
#include "services/flags/node_flags.h"

namespace moesaic::services {

ShardFlags::ShardFlags() {
  // What a small node can spare beside the system; a larger one says so.
  options.memory_bytes = std::uint64_t{8} << 30;
}

void ShardFlags::Declare(FlagTable& table) {
  model.Declare(table);
  table.AddBytes("memory-bytes", options.memory_bytes, "Limit on expert weights held, e.g. 24GiB");
  table
      .Add("max-batch-rows", options.max_batch_rows, "Most (row, expert) pairs one batch computes")
      ->check(CLI::Range(1, 1 << 20));
  table.AddBytes("queue-bytes-per-router", options.queue_bytes_per_router,
                 "Undone request bytes one router may have queued");
  table
      .Add("calibration-ms", calibration_ms,
           "Milliseconds in which a starting shard measures its speed; 0 = it learns while serving")
      ->check(CLI::Range(0.0, 60000.0));
  table.Add("packed-cache", options.packed_cache_dir,
            "Folder to keep packed weights in, for a faster start; shards may share it");
  table.AddBytes("packed-cache-bytes", options.packed_cache_bytes,
                 "Most that folder may take; 0 = what all experts of the model take");
  DeclareNodeFlags(table, options.zone, options.node_share);
  table.AddSwitch("insecure", options.insecure, "Allow listening beyond loopback without TLS");
}

void ShardFlags::DeclareIdentity(FlagTable& table) {
  table.Add("name", options.name, "Stable name of this shard")->required();
  table.Add("listen", options.listen_address, "host:port to serve ExpertShard on; port 0 = any");
  table.Add("http-listen", options.http_address, "host:port of /metrics; empty = not served");
  table.Add("advertise", options.advertised_address,
            "host:port routers dial; default: the address bound");
  table.Add("coordinator", options.coordinator_address, "host:port of the coordinator");
  table.Add("node", options.node, "Machine this runs on; replicas prefer different ones");
  table.Add("state-dir", options.state_dir, "Folder of the remembered assignment");
  table.AddSwitch("reflection", options.reflection, "Serve gRPC reflection");
}

absl::StatusOr<shard::ShardOptions> ShardFlags::Resolve() const {
  shard::ShardOptions result = options;
  MOESAIC_RETURN_IF_ERROR(model.ApplyTo(result));
  result.calibration = absl::Milliseconds(calibration_ms);
  return result;
}

}  // namespace moesaic::services
