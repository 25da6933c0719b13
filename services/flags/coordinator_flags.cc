#include "services/flags/coordinator_flags.h"

namespace moesaic::services {

void CoordinatorFlags::Declare(FlagTable& table) {
  table.Add("replicas", options.replicas, "Live copies wanted of each unit, on different shards")
      ->check(CLI::Range(1, 64));
  table.Add("lease-s", lease_s, "Seconds of silence after which a shard is gone")
      ->check(CLI::Range(0.1, 3600.0));
  table.Add("heartbeat-s", heartbeat_s, "Seconds between a shard's heartbeats")
      ->check(CLI::Range(0.01, 600.0));
  table.AddSwitch("insecure", options.insecure, "Allow listening beyond loopback without TLS");
}

void CoordinatorFlags::DeclareIdentity(FlagTable& table) {
  table.Add("listen", options.listen_address, "host:port to serve Coordinator on; port 0 = any");
  table.Add("expect-shards", options.expect_shards,
            "Make the first assignment when so many have registered; 0 = when none has come for a "
            "moment");
  table.AddSwitch("reflection", options.reflection, "Serve gRPC reflection");
}

placement::CoordinatorOptions CoordinatorFlags::Resolve() const {
  placement::CoordinatorOptions result = options;
  result.lease = absl::Seconds(lease_s);
  result.heartbeat = absl::Seconds(heartbeat_s);
  return result;
}

}  // namespace moesaic::services
