#include "shard/ffn_plan.h"

#include <algorithm>

namespace moesaic::shard {
namespace {

/// A row of a held expert, before grouping.
struct ExpertRow {
  std::uint32_t expert;
  kernels::ExpertEntry entry;
};

/// Lays out the slots of one work and appends its rows of experts.
void AddWork(const Work& work, const HeldUnits& held, std::uint32_t layer_begin,
             std::uint32_t unit_size, FfnPlan& plan, std::vector<ExpertRow>& expert_rows) {
  const rpc::Dispatch& dispatch = work.dispatch;
  FfnPlan::Part part{
      .row_begin = plan.rows, .slot_begin = plan.slots(), .slot_count = 0, .missing_units = {}};
  for (std::size_t i = 0; i < dispatch.row_index.size(); ++i) {
    const std::uint32_t row = dispatch.row_index[i];
    const std::uint32_t unit = dispatch.expert_id[i] / unit_size;
    if (held.Find(layer_begin + unit) == nullptr) {
      part.missing_units.push_back(unit);
      continue;
    }
    const bool first = plan.slots() == part.slot_begin || plan.slot_row.back() != row ||
                       plan.slot_unit.back() != unit;
    if (first) {
      plan.slot_row.push_back(row);
      plan.slot_unit.push_back(unit);
    }
    expert_rows.push_back({.expert = dispatch.expert_id[i],
                           .entry = {.row = static_cast<std::int32_t>(part.row_begin + row),
                                     .slot = static_cast<std::int32_t>(plan.slots() - 1),
                                     .weight = dispatch.weight[i],
                                     .first = first}});
  }
  std::sort(part.missing_units.begin(), part.missing_units.end());
  part.missing_units.erase(std::unique(part.missing_units.begin(), part.missing_units.end()),
                           part.missing_units.end());
  part.slot_count = plan.slots() - part.slot_begin;
  plan.rows += dispatch.row_count;
  plan.parts.push_back(std::move(part));
}

/// Counting sort by expert; stable, so entries of an expert stay in slot order.
void GroupByExpert(const std::vector<ExpertRow>& expert_rows, const HeldUnits& held,
                   std::uint32_t layer_begin, const placement::ExpertTopology& topology,
                   FfnPlan& plan) {
  std::vector<std::uint32_t> ends(topology.experts_per_layer + 1, 0);
  for (const ExpertRow& expert_row : expert_rows) ++ends[expert_row.expert + 1];
  for (std::uint32_t e = 0; e < topology.experts_per_layer; ++e) ends[e + 1] += ends[e];
  plan.entries.resize(expert_rows.size());
  std::vector<std::uint32_t> next = ends;  // next[e]: where the next entry of expert e goes
  for (const ExpertRow& expert_row : expert_rows) {
    plan.entries[next[expert_row.expert]++] = expert_row.entry;
  }
  for (std::uint32_t e = 0; e < topology.experts_per_layer; ++e) {
    if (ends[e] == ends[e + 1]) continue;
    const UnitWeights* unit = held.Find(layer_begin + e / topology.unit_size);
    const PackedExpert& expert = unit->experts[e % topology.unit_size];
    plan.groups.push_back(
        {.gate_up = &expert.gate_up,
         .down = &expert.down,
         .entries = absl::MakeConstSpan(plan.entries).subspan(ends[e], ends[e + 1] - ends[e])});
  }
}

}  // namespace

FfnPlan PlanBatch(absl::Span<const Work> works, const HeldUnits& held,
                  const placement::ExpertTopology& topology) {
  FfnPlan plan;
  if (works.empty()) return plan;
  const std::uint32_t layer_begin =
      topology.NumberOf({works.front().dispatch.layer, base::UnitId(0)});
  std::vector<ExpertRow> expert_rows;
  for (const Work& work : works) {
    AddWork(work, held, layer_begin, topology.unit_size, plan, expert_rows);
  }
  GroupByExpert(expert_rows, held, layer_begin, topology, plan);
  return plan;
}

}  // namespace moesaic::shard
