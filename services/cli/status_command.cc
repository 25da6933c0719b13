// moesaic status: who is there, what it holds, how much it computed.

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct StatusFlags {
  std::string state_dir = DefaultStateDir();
  std::string coordinator;
  bool json = false;
};

void PrintTable(const v1::DescribeClusterResponse& cluster) {
  absl::PrintF("model %s (%s), placement %d.%d\n", cluster.model().model_id(),
               cluster.model().model_fingerprint().substr(0, 12), cluster.epoch().term(),
               cluster.epoch().version());
  absl::PrintF("units %d, %d without a live replica, %d below %d replicas\n", cluster.units_total(),
               cluster.units_uncovered(), cluster.units_below_replicas(),
               cluster.replicas_wanted());
  absl::PrintF("\n%-16s %-22s %-10s %-9s %11s %17s %14s\n", "SHARD", "ADDRESS", "NODE", "STATE",
               "UNITS", "MEMORY (MiB)", "EXPERT ROWS");
  for (const v1::ShardStatus& shard : cluster.shards()) {
    absl::PrintF("%-16s %-22s %-10s %-9s %11s %17s %14d\n", shard.placed().shard(),
                 shard.placed().address(), shard.placed().node(), shard.state(),
                 absl::StrFormat("%d/%d", shard.held_units(), shard.assigned_units()),
                 absl::StrFormat("%.1f/%.0f", shard.held_bytes() / 1048576.0,
                                 shard.memory_bytes() / 1048576.0),
                 shard.expert_rows_total());
    if (!shard.problem().empty()) absl::PrintF("  %s\n", shard.problem());
  }
  for (const v1::RouterStatus& router : cluster.routers()) {
    absl::PrintF("router %s, placement %d.%d\n", router.router(), router.acknowledged().term(),
                 router.acknowledged().version());
  }
  for (const std::string& warning : cluster.warnings()) absl::PrintF("warning: %s\n", warning);
}

int PrintJson(const v1::DescribeClusterResponse& cluster) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed = google::protobuf::util::MessageToJsonString(cluster, &json, options);
  if (!printed.ok()) return Fail("status", printed.ToString());
  std::fputs(json.c_str(), stdout);
  return kExitOk;
}

int Status(const StatusFlags& flags) {
  std::string coordinator = flags.coordinator;
  if (coordinator.empty()) {
    const absl::StatusOr<ClusterFile> cluster = ReadClusterFile(flags.state_dir);
    if (!cluster.ok()) return Fail("status", std::string(cluster.status().message()));
    coordinator = cluster->coordinator_address;
  }
  const absl::StatusOr<v1::DescribeClusterResponse> cluster = DescribeCluster(coordinator);
  if (!cluster.ok()) {
    return Fail("status",
                absl::StrFormat("coordinator %s: %s", coordinator, cluster.status().ToString()));
  }
  if (flags.json) return PrintJson(*cluster);
  PrintTable(*cluster);
  return kExitOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<StatusFlags>();
  CLI::App* command = app.add_subcommand("status", "Show shards, units and work of a cluster");
  command->add_option("--coordinator", flags->coordinator, "host:port; default: the local cluster");
  command->add_option("--state-dir", flags->state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command->add_flag("--json", flags->json, "Print DescribeClusterResponse as JSON");
  command->callback([flags, &run] { run = [flags] { return Status(*flags); }; });
}

}  // namespace moesaic::services
