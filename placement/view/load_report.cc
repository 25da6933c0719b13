#include "placement/view/load_report.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::placement {
namespace {

absl::Duration Micros(std::uint64_t us) { return absl::Microseconds(static_cast<double>(us)); }

std::uint64_t ToMicros(absl::Duration duration) {
  return static_cast<std::uint64_t>(absl::ToInt64Microseconds(duration));
}

}  // namespace

absl::StatusOr<LoadReport> LoadReportFromProto(const v1::LoadReport& proto,
                                               const ExpertTopology& topology) {
  if (proto.rows_size() != proto.units_size() || proto.experts_size() != proto.units_size()) {
    return absl::InvalidArgumentError(absl::StrCat("load report: ", proto.units_size(), " units, ",
                                                   proto.rows_size(), " rows, ",
                                                   proto.experts_size(), " experts"));
  }
  LoadReport report{.window = Micros(proto.window_us()),
                    .calls = proto.calls(),
                    .units = {},
                    .shards = {},
                    .router = {}};
  MOESAIC_ASSIGN_OR_RETURN(report.router, RouterLoadFromProto(proto.router()));
  for (int i = 0; i < proto.units_size(); ++i) {
    const std::uint32_t number = proto.units(i);
    if (number >= topology.units_total() ||
        (!report.units.empty() && number <= report.units.back().number)) {
      return absl::InvalidArgumentError(absl::StrCat("load report: unit ", number,
                                                     " is out of order or beyond the last of ",
                                                     topology.units_total()));
    }
    report.units.push_back({.number = number, .rows = proto.rows(i), .experts = proto.experts(i)});
  }
  for (const v1::ShardTime& shard : proto.shards()) {
    report.shards.push_back({.id = base::ShardId(shard.shard_id()),
                             .dispatches = shard.dispatches(),
                             .rows = shard.rows(),
                             .round_trip = Micros(shard.round_trip_us()),
                             .queue_wait = Micros(shard.queue_wait_us()),
                             .compute = Micros(shard.compute_us())});
  }
  return report;
}

v1::LoadReport LoadReportToProto(const LoadReport& report) {
  v1::LoadReport proto;
  proto.set_window_us(ToMicros(report.window));
  proto.set_calls(report.calls);
  for (const LoadReport::Unit& unit : report.units) {
    proto.add_units(unit.number);
    proto.add_rows(unit.rows);
    proto.add_experts(unit.experts);
  }
  for (const LoadReport::Shard& shard : report.shards) {
    v1::ShardTime& time = *proto.add_shards();
    time.set_shard_id(shard.id.value());
    time.set_dispatches(shard.dispatches);
    time.set_rows(shard.rows);
    time.set_round_trip_us(ToMicros(shard.round_trip));
    time.set_queue_wait_us(ToMicros(shard.queue_wait));
    time.set_compute_us(ToMicros(shard.compute));
  }
  *proto.mutable_router() = RouterLoadToProto(report.router);
  return proto;
}

}  // namespace moesaic::placement
