#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "services/cli/bench/load_run.h"

namespace moesaic::services {

/// What was measured, and how. Plain value.
struct BenchReport {
  std::string started;  ///< RFC 3339, UTC.
  std::string version;
  BenchTarget target = {};
  std::string prompt_length;
  std::string output_length;
  std::int64_t shared_prefix = 0;
  bool ignore_eos = true;
  std::uint64_t seed = 1;
  std::vector<LoadResult> stages = {};
};

/// "8 clients", "2.5/s", "2.5/s in bursts of 8": how a load is named to people.
std::string StageName(const LoadStage& stage);

// The report for people and for programs. Pure functions.
std::string BenchTable(const BenchReport& report);
nlohmann::ordered_json BenchJson(const BenchReport& report);

}  // namespace moesaic::services
