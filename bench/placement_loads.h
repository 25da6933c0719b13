#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "placement/placement_problem.h"

namespace moesaic::bench {

/// The model whose placement is simulated.
struct ModelShape {
  std::uint32_t layers = 58;  ///< DeepSeek-V3's MoE layers.
  std::uint32_t experts = 256;
};

/// Share of a layer's rows that each expert takes: [layers * experts], every layer summing to 1.
using Shares = std::vector<double>;

/// Popularity by rank to the power of -0.8, ranks at random in each layer: the hottest expert has
/// about 18 times the mean.
Shares ZipfShares(const ModelShape& shape, std::mt19937& random);

/// One expert of each layer with 30 times the mean of all, the others with 20 % of variation.
Shares OneHotShares(const ModelShape& shape, std::mt19937& random);

/// Every share times a normal deviate of mean 1 and this standard deviation, what a window of
/// finite length sees of loads that do not change.
Shares WithNoise(const ModelShape& shape, const Shares& shares, double deviation,
                 std::mt19937& random);

/// Popularity that drifts: the logarithm of each expert's share is a normal process with standard
/// deviation 1 that keeps 0.9 of itself from window to window.
class DriftingShares {
 public:
  DriftingShares(const ModelShape& shape, std::uint32_t seed);
  Shares Next();

 private:
  ModelShape shape_;
  std::mt19937 random_;
  std::vector<double> logs_;
};

/// The demo model's recorded routing (record_routing.py), scaled up: a layer follows the demo layer
/// of its number modulo theirs; each demo expert becomes as many experts as needed, which vary by
/// 30 % about its share and lie at random in the layer. In each window another kind of question
/// makes up half of the traffic, so that loads move as traffic moves them.
class DemoShares {
 public:
  /// Errors: NotFound without the file; InvalidArgument that names the line.
  static absl::StatusOr<DemoShares> Read(const std::string& path, const ModelShape& shape,
                                         std::uint32_t seed);
  Shares Next();

 private:
  ModelShape shape_;
  std::uint32_t demo_layers_ = 0;
  std::uint32_t demo_experts_ = 0;
  std::vector<std::vector<double>> kinds_;     // each [demo layers * demo experts], sums to 1
  std::vector<std::uint32_t> demo_expert_of_;  // [layers * experts]
  std::vector<double> variation_;              // [layers * experts]
  std::size_t window_ = 0;
};

/// Rows of each expert in a call of so many and, as they arrive independently, distinct experts:
/// 1 - exp(-rows).
std::vector<placement::UnitLoad> LoadsOf(const Shares& shares, double rows_per_call);

}  // namespace moesaic::bench
