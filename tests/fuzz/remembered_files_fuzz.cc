// What processes remember over a restart: a shard's assignment, a placement.
#include "base/check.h"
#include "placement/view/placement_file.h"
#include "shard/assignment_file.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/scratch_folder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const moesaic::fuzz::ScratchFolder folder;
  static const moesaic::placement::ExpertTopology topology{
      .moe_layers = {moesaic::base::LayerId(1), moesaic::base::LayerId(3)},
      .experts_per_layer = 8,
      .unit_size = 2};
  moesaic::fuzz::FuzzInput input(data, size);
  const bool placement = input.Below(2) == 1;
  folder.Write("file", input.Rest());
  if (placement) {
    (void)moesaic::placement::LoadPlacement(folder.Path("file"));
    return 0;
  }
  const auto assignment = moesaic::shard::LoadAssignment(folder.Path("file"), {}, topology);
  if (!assignment.ok()) return 0;
  for (std::size_t i = 0; i < assignment->units.size(); ++i) {
    MOESAIC_CHECK(topology.LayerIndex(assignment->units[i].layer).has_value());
    MOESAIC_CHECK(assignment->units[i].unit.value() < topology.units_per_layer());
    MOESAIC_CHECK(i == 0 || assignment->units[i - 1] < assignment->units[i]);
  }
  return 0;
}
