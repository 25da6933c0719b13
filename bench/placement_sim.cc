// Compares placement by predicted time with the published balancer, by simulation with the
// policies' own code: DeepSeek-V3 on 16 to 1,024 shards, equal and mixed machines, several loads.
// Prints docs/placement.md's table and writes the same as JSON.
//
//   placement_sim bench/data/demo_routing.txt [result.json]
#include <cstdio>
#include <ctime>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bench/placement_loads.h"
#include "placement/forecast.h"
#include "placement/placement_policy.h"

namespace moesaic::bench {
namespace {

using placement::Forecast;
using placement::PlacementDecision;
using placement::PlacementPolicy;
using placement::PlacementProblem;

constexpr std::uint64_t kUnitBytes = 44'040'192;  // 3 * 7168 * 2048 weights in fp8
constexpr std::uint32_t kShardsPerNode = 8;
constexpr std::uint32_t kGroups = 8;
constexpr std::uint32_t kRedundant = 32;
/// The first is placed on empty shards, the others from the placement before.
constexpr int kWindows = 6;
/// What 15 seconds of decoding leave of chance in the mean rows of an expert.
constexpr double kWindowNoise = 0.05;
/// A machine of mean speed reads an expert at 3 TB/s and computes at 400 TFLOP/s.
constexpr double kUsPerExpert = 15;
constexpr double kUsPerRow = 0.22;

struct Phase {
  const char* name;
  double rows_per_call;  // of a layer, 8 for each token
};
constexpr Phase kPhases[] = {{"decode", 256 * 8}, {"prefill", 8192 * 8}};

/// Slots of a layer that both policies may use: what the published one needs.
std::uint32_t SlotsPerLayer(std::uint32_t experts, std::uint32_t shards) {
  return (experts + kRedundant + shards - 1) / shards * shards;
}

PlacementProblem MakeProblem(const ModelShape& shape, std::uint32_t shards, bool mixed) {
  PlacementProblem problem{.layers = shape.layers,
                           .units_per_layer = shape.experts,
                           .unit_bytes = kUnitBytes,
                           .replicas = 1,
                           .shards = {},
                           .loads = {},
                           .groups = kGroups,
                           .layer_numbers = {}};
  const double mean_slots = double{1.0} * shape.layers * SlotsPerLayer(shape.experts, shards) /
                            static_cast<double>(shards);
  for (std::uint32_t i = 0; i < shards; ++i) {
    // 4:2:1, of mean 1.
    const double factor = mixed ? (4 >> i % 3) * 3.0 / 7 : 1;
    problem.shards.push_back(
        {.id = base::ShardId(i),
         .node = absl::StrCat("node", i / kShardsPerNode),
         .zone = "",
         .memory_bytes = static_cast<std::uint64_t>(mean_slots * factor + 0.5) * kUnitBytes,
         .us_per_row = kUsPerRow / factor,
         .us_per_expert = kUsPerExpert / factor,
         .held = {}});
  }
  return problem;
}

/// Means over windows but where something else is said.
struct Outcome {
  double step_us = 0;
  double imbalance = 0;        ///< Of the step.
  double layer_imbalance = 0;  ///< Of the worst layer of all windows.
  double row_imbalance = 0;    ///< Of the step, had shards to be paid by rows alone.
  double max_experts = 0;      ///< Of all windows.
  double held_bytes = 0;       ///< Of all shards.
  double moved_bytes = 0;      ///< From the second window on, each.
  double cpu_s = 0;            ///< Of the slowest window.
  std::size_t missing = 0;     ///< Units without a shard, of all windows.
};

Outcome Run(PlacementPolicy policy, PlacementProblem problem, const std::vector<Shares>& windows,
            double rows_per_call) {
  const auto shards = static_cast<std::uint32_t>(problem.shards.size());
  const std::uint32_t experts = problem.units_per_layer;
  const placement::EplbOptions eplb{.redundant_slots = SlotsPerLayer(experts, shards) - experts};
  Outcome outcome;
  const double share = 1.0 / static_cast<double>(windows.size());
  for (std::size_t window = 0; window < windows.size(); ++window) {
    problem.loads = LoadsOf(windows[window], rows_per_call);
    const std::clock_t begin = std::clock();
    const PlacementDecision decision = placement::Place(policy, problem, {}, eplb);
    outcome.cpu_s =
        std::max(outcome.cpu_s, static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
    const Forecast forecast = ForecastPlacement(problem, decision.units_of_shard);
    outcome.step_us += forecast.step_us * share;
    outcome.imbalance += forecast.imbalance * share;
    for (const double layer : forecast.layer_imbalance) {
      outcome.layer_imbalance = std::max(outcome.layer_imbalance, layer);
    }
    outcome.max_experts = std::max(outcome.max_experts, forecast.max_experts);
    for (const auto& units : decision.units_of_shard) {
      outcome.held_bytes += static_cast<double>(units.size() * kUnitBytes) * share;
    }
    outcome.missing += decision.shortfall.uncovered;
    if (window > 0) {
      outcome.moved_bytes +=
          static_cast<double>(forecast.move_bytes) / static_cast<double>(windows.size() - 1);
    }
    PlacementProblem by_rows = problem;
    for (auto& shard : by_rows.shards) shard.us_per_expert = 0;
    outcome.row_imbalance += ForecastPlacement(by_rows, decision.units_of_shard).imbalance * share;
    for (std::uint32_t i = 0; i < shards; ++i) {
      problem.shards[i].held = decision.units_of_shard[i];
    }
  }
  return outcome;
}

struct Row {
  std::string phase, machines, load;
  std::uint32_t shards = 0;
  Outcome ours, published;
};

std::string Gigabytes(double bytes) {
  return bytes == 0 ? "0" : absl::StrFormat("%.*f", bytes < 1e10 ? 1 : 0, bytes / 1e9);
}

void PrintTable(const std::vector<Row>& rows, const std::string& phase) {
  std::cout
      << "\n| machines | load | shards | step, us | normalised load | worst layer | rows alone "
         "| experts | TB held | GB moved | CPU, s |\n"
         "|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const Row& row : rows) {
    if (row.phase != phase) continue;
    const Outcome &a = row.ours, &b = row.published;
    std::cout << absl::StrFormat(
        "| %s | %s | %d | %.0f / %.0f | %.2f / %.2f | %.2f / %.2f | %.2f / %.2f | %.1f / %.1f "
        "| %.2f / %.2f | %s / %s | %.2f / %.2f |\n",
        row.machines, row.load, row.shards, a.step_us, b.step_us, a.imbalance, b.imbalance,
        a.layer_imbalance, b.layer_imbalance, a.row_imbalance, b.row_imbalance, a.max_experts,
        b.max_experts, a.held_bytes / 1e12, b.held_bytes / 1e12, Gigabytes(a.moved_bytes),
        Gigabytes(b.moved_bytes), a.cpu_s, b.cpu_s);
    if (a.missing + b.missing > 0) {
      std::cerr << phase << ", " << row.machines << ", " << row.load << ", " << row.shards
                << ": units without a shard: " << a.missing << " / " << b.missing << "\n";
    }
  }
}

std::string Json(const Outcome& o) {
  return absl::StrFormat(
      R"({"step_us": %.1f, "imbalance": %.4f, "layer_imbalance": %.4f, "row_imbalance": %.4f, )"
      R"("max_experts": %.2f, "held_bytes": %.0f, "moved_bytes": %.0f, "cpu_s": %.3f})",
      o.step_us, o.imbalance, o.layer_imbalance, o.row_imbalance, o.max_experts, o.held_bytes,
      o.moved_bytes, o.cpu_s);
}

bool WriteJson(const std::vector<Row>& rows, const std::string& path) {
  std::vector<std::string> lines;
  for (const Row& row : rows) {
    lines.push_back(absl::StrFormat(
        R"({"phase": "%s", "machines": "%s", "load": "%s", "shards": %d, "ours": %s, "published": %s})",
        row.phase, row.machines, row.load, row.shards, Json(row.ours), Json(row.published)));
  }
  std::ofstream file(path);
  file << "[\n" << absl::StrJoin(lines, ",\n") << "\n]\n";
  return file.good();
}

/// The windows of each load, by name.
absl::StatusOr<std::vector<std::pair<std::string, std::vector<Shares>>>> MakeLoads(
    const ModelShape& shape, const std::string& demo_path) {
  std::mt19937 random(2026);
  const Shares zipf = ZipfShares(shape, random), hot = OneHotShares(shape, random);
  DriftingShares drifting(shape, 2027);
  auto demo = DemoShares::Read(demo_path, shape, 2028);
  if (!demo.ok()) return demo.status();
  std::vector<std::pair<std::string, std::vector<Shares>>> loads = {
      {"Zipf", {}}, {"one at 30x", {}}, {"drifting", {}}, {"demo model", {}}};
  for (int window = 0; window < kWindows; ++window) {
    loads[0].second.push_back(WithNoise(shape, zipf, kWindowNoise, random));
    loads[1].second.push_back(WithNoise(shape, hot, kWindowNoise, random));
    loads[2].second.push_back(drifting.Next());
    loads[3].second.push_back(demo->Next());
  }
  return loads;
}

int Main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::cerr << "usage: placement_sim bench/data/demo_routing.txt [result.json]\n";
    return 2;
  }
  const ModelShape shape;
  const auto loads = MakeLoads(shape, argv[1]);
  if (!loads.ok()) {
    std::cerr << loads.status().ToString() << "\n";
    return 1;
  }
  std::vector<Row> rows;
  for (const auto& [phase, rows_per_call] : kPhases) {
    for (const bool mixed : {false, true}) {
      for (const auto& [name, windows] : *loads) {
        for (const std::uint32_t shards : {16u, 64u, 256u, 1024u}) {
          const PlacementProblem problem = MakeProblem(shape, shards, mixed);
          const auto run = [&, &windows = windows, calls = rows_per_call](PlacementPolicy policy) {
            return Run(policy, problem, windows, calls);
          };
          rows.push_back({.phase = phase,
                          .machines = mixed ? "4:2:1" : "equal",
                          .load = name,
                          .shards = shards,
                          .ours = run(PlacementPolicy::kPredictedTime),
                          .published = run(PlacementPolicy::kEplb)});
        }
      }
    }
    PrintTable(rows, phase);
  }
  if (argc == 3 && !WriteJson(rows, argv[2])) {
    std::cerr << "cannot write " << argv[2] << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace moesaic::bench

int main(int argc, char** argv) { return moesaic::bench::Main(argc, argv); }
