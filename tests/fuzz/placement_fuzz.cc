// What a coordinator and routers tell each other: placements and load reports.
#include <string>

#include "base/check.h"
#include "placement/view/load_report.h"
#include "placement/view/placement_map.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace moesaic::placement;

void ReadPlacement(const std::string& bytes) {
  moesaic::v1::Placement proto;
  if (!proto.ParseFromString(bytes)) return;
  const auto map = PlacementMap::FromProto(proto);
  if (!map.ok()) return;
  for (const moesaic::base::LayerId layer : (*map)->topology().moe_layers) {
    for (const moesaic::base::ShardId shard : (*map)->Holders(layer, moesaic::base::UnitId(0))) {
      MOESAIC_CHECK((*map)->FindShard(shard) != nullptr);
    }
  }
  const auto again = PlacementMap::FromProto((*map)->ToProto());
  MOESAIC_CHECK(again.ok());
  MOESAIC_CHECK((*again)->ToProto().SerializeAsString() == (*map)->ToProto().SerializeAsString());
}

void ReadLoad(const std::string& bytes) {
  moesaic::v1::LoadReport proto;
  if (!proto.ParseFromString(bytes)) return;
  const ExpertTopology topology{
      .moe_layers = {moesaic::base::LayerId(1), moesaic::base::LayerId(3)},
      .experts_per_layer = 8,
      .unit_size = 2};
  const auto report = LoadReportFromProto(proto, topology);
  if (!report.ok()) return;
  for (const LoadReport::Unit& unit : report->units) {
    MOESAIC_CHECK(unit.number < topology.units_total());
  }
  const auto again = LoadReportFromProto(LoadReportToProto(*report), topology);
  MOESAIC_CHECK(again.ok() && again->units == report->units);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  const bool load = input.Below(2) == 1;
  const std::string bytes(input.Rest());
  load ? ReadLoad(bytes) : ReadPlacement(bytes);
  return 0;
}
