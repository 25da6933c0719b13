// moesaic status: who is there, what it holds, how much it computed.

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <memory>

#include "absl/strings/str_format.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct StatusFlags {
  CoordinatorAddressFlags address;
  bool json = false;
  bool why = false;
};

void PrintTable(const v1::DescribeClusterResponse& cluster) {
  absl::PrintF("model %s (%s), placement %d.%d\n", cluster.model().model_id(),
               cluster.model().model_fingerprint().substr(0, 12), cluster.epoch().term(),
               cluster.epoch().version());
  absl::PrintF("units %d, %d without a live replica, %d below %d replicas\n", cluster.units_total(),
               cluster.units_uncovered(), cluster.units_below_replicas(),
               cluster.replicas_wanted());
  absl::PrintF("\n%-16s %-22s %-10s %-10s %11s %17s %15s %9s %14s\n", "SHARD", "ADDRESS", "NODE",
               "STATE", "UNITS", "MEMORY (MiB)", "US/ROW + EXPERT", "ROWS/S", "EXPERT ROWS");
  for (const v1::ShardStatus& shard : cluster.shards()) {
    absl::PrintF(
        "%-16s %-22s %-10s %-10s %11s %17s %15s %9.0f %14d\n", shard.placed().shard(),
        shard.placed().address(), shard.placed().node(), shard.state(),
        absl::StrFormat("%d/%d", shard.held_units(), shard.assigned_units()),
        absl::StrFormat("%.1f/%.0f", shard.held_bytes() / 1048576.0,
                        shard.memory_bytes() / 1048576.0),
        absl::StrFormat("%.2f + %.2f", shard.placed().us_per_row(), shard.placed().us_per_expert()),
        shard.rows_per_s(), shard.expert_rows_total());
    if (!shard.problem().empty()) absl::PrintF("  %s\n", shard.problem());
  }
  for (const v1::RouterStatus& router : cluster.routers()) {
    absl::PrintF("router %s, placement %d.%d\n", router.router(), router.acknowledged().term(),
                 router.acknowledged().version());
  }
  absl::PrintF("policy %s, %d moves in flight\n", cluster.policy(), cluster.moves_in_flight());
  for (const std::string& warning : cluster.warnings()) absl::PrintF("warning: %s\n", warning);
}

void PrintEvents(const v1::DescribeClusterResponse& cluster) {
  absl::PrintF("\nEVENTS\n");
  for (const v1::Event& event : cluster.events()) {
    absl::PrintF("%9.1f s ago  %s\n", event.age_s(), event.text());
  }
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
  const absl::StatusOr<std::string> coordinator = flags.address.Resolve();
  if (!coordinator.ok()) return Fail("status", std::string(coordinator.status().message()));
  const absl::StatusOr<v1::DescribeClusterResponse> cluster = DescribeCluster(*coordinator);
  if (!cluster.ok()) {
    return Fail("status", absl::StrFormat("coordinator %s", cluster.status().ToString()));
  }
  if (flags.json) return PrintJson(*cluster);
  PrintTable(*cluster);
  if (flags.why) PrintEvents(*cluster);
  return kExitOk;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<StatusFlags>();
  CLI::App* command = app.add_subcommand("status", "Show shards, units and work of a cluster");
  flags->address.Declare(*command);
  command->add_flag("--why", flags->why, "Also what happened and was decided lately, and why");
  command->add_flag("--json", flags->json, "Print DescribeClusterResponse as JSON");
  command->callback([flags, &run] { run = [flags] { return Status(*flags); }; });
}

}  // namespace moesaic::services
