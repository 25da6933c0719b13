#pragma once

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <sstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "monitoring/registry.h"
#include "placement/view/topology.h"

namespace moesaic::testing {

// The deployment on which the number of time series is counted, the same for every kind of process:
// DeepSeek-V3, each expert a unit, on 72 shards, with 200 tenants.
inline constexpr std::uint32_t kLargeShards = 72;
inline constexpr int kLargeTenants = 200;

/// 58 MoE layers, 3 to 60, of 256 experts.
inline placement::ExpertTopology DeepSeekV3Topology() {
  placement::ExpertTopology topology{
      .moe_layers = {}, .experts_per_layer = 256, .unit_size = 1, .unit_bytes = 88'080'384};
  for (std::uint32_t layer = 3; layer <= 60; ++layer) topology.moe_layers.emplace_back(layer);
  return topology;
}

inline placement::ModelIdentity DeepSeekV3Identity() {
  return {.model_id = "deepseek-ai/DeepSeek-V3",
          .model_fingerprint = "f1",
          .numerics_id = "n1",
          .hidden_size = 7168,
          .unit_size = 1};
}

inline std::string LargeShardName(std::uint32_t shard) { return absl::StrCat("shard-", shard); }

/// Time series that Prometheus stores of one scrape: every bucket of a histogram, +Inf too, its sum
/// and its count are one each. A line each of the exposition.
inline std::size_t CountSeries(monitoring::Registry& registry) {
  std::istringstream text(registry.Exposition());
  std::size_t series = 0;
  for (std::string line; std::getline(text, line);) series += !line.empty() && line[0] != '#';
  return series;
}

/// For people who read the test's output.
inline void PrintSeries(const char* process, std::size_t series) {
  std::cout << "time series of a " << process << ": " << series << "\n";
}

}  // namespace moesaic::testing
