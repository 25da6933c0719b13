#include "bench/placement_loads.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <numeric>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace moesaic::bench {
namespace {

constexpr double kZipfExponent = 0.8;
constexpr double kHotFactor = 30;
constexpr double kKept = 0.9;
constexpr double kDemoVariation = 0.3;

/// Makes every layer sum to 1.
Shares Normalised(const ModelShape& shape, Shares shares) {
  for (auto begin = shares.begin(); begin != shares.end(); begin += shape.experts) {
    const double sum = std::accumulate(begin, begin + shape.experts, 0.0);
    for (auto share = begin; share != begin + shape.experts; ++share) *share /= sum;
  }
  return shares;
}

/// At least a twentieth, so that no expert vanishes.
double Deviate(double deviation, std::mt19937& random) {
  return std::max(0.05, std::normal_distribution<double>(1, deviation)(random));
}

}  // namespace

Shares ZipfShares(const ModelShape& shape, std::mt19937& random) {
  Shares shares;
  std::vector<std::uint32_t> ranks(shape.experts);
  std::iota(ranks.begin(), ranks.end(), 1u);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    std::shuffle(ranks.begin(), ranks.end(), random);
    for (const std::uint32_t rank : ranks) shares.push_back(std::pow(rank, -kZipfExponent));
  }
  return Normalised(shape, std::move(shares));
}

Shares OneHotShares(const ModelShape& shape, std::mt19937& random) {
  Shares shares;
  // x times what the others have together must be 30 times the mean of all.
  const double hot = kHotFactor * (shape.experts - 1) / (shape.experts - kHotFactor);
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    const std::uint32_t which = random() % shape.experts;
    for (std::uint32_t expert = 0; expert < shape.experts; ++expert) {
      shares.push_back(expert == which ? hot : Deviate(0.2, random));
    }
  }
  return Normalised(shape, std::move(shares));
}

Shares WithNoise(const ModelShape& shape, const Shares& shares, double deviation,
                 std::mt19937& random) {
  Shares noisy = shares;
  for (double& share : noisy) share *= Deviate(deviation, random);
  return Normalised(shape, std::move(noisy));
}

DriftingShares::DriftingShares(const ModelShape& shape, std::uint32_t seed)
    : shape_(shape), random_(seed), logs_(std::size_t{shape.layers} * shape.experts) {
  std::normal_distribution<double> normal;
  for (double& log : logs_) log = normal(random_);
}

Shares DriftingShares::Next() {
  Shares shares;
  std::normal_distribution<double> normal;
  for (double& log : logs_) {
    shares.push_back(std::exp(log));
    log = kKept * log + std::sqrt(1 - kKept * kKept) * normal(random_);
  }
  return Normalised(shape_, std::move(shares));
}

absl::StatusOr<DemoShares> DemoShares::Read(const std::string& path, const ModelShape& shape,
                                            std::uint32_t seed) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::map<std::string, std::vector<double>> rows_of_kind;
  DemoShares demo;
  demo.shape_ = shape;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    std::string kind;
    std::uint32_t layer = 0;
    words >> kind >> layer;
    std::vector<double> rows;
    for (double row = 0; words >> row;) rows.push_back(row);
    if (rows.empty() || (demo.demo_experts_ != 0 && rows.size() != demo.demo_experts_)) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": ", line));
    }
    demo.demo_experts_ = static_cast<std::uint32_t>(rows.size());
    demo.demo_layers_ = std::max(demo.demo_layers_, layer + 1);
    auto& all = rows_of_kind[kind];
    all.insert(all.end(), rows.begin(), rows.end());
  }
  for (auto& [kind, rows] : rows_of_kind) {
    if (rows.size() != std::size_t{demo.demo_layers_} * demo.demo_experts_) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": layers are missing of ", kind));
    }
    const ModelShape demo_shape{.layers = demo.demo_layers_, .experts = demo.demo_experts_};
    demo.kinds_.push_back(Normalised(demo_shape, std::move(rows)));
  }
  if (demo.kinds_.empty()) return absl::InvalidArgumentError(absl::StrCat(path, " is empty"));
  std::mt19937 random(seed);
  std::vector<std::uint32_t> order(shape.experts);
  for (std::uint32_t i = 0; i < shape.experts; ++i) order[i] = i % demo.demo_experts_;
  for (std::uint32_t layer = 0; layer < shape.layers; ++layer) {
    std::shuffle(order.begin(), order.end(), random);
    demo.demo_expert_of_.insert(demo.demo_expert_of_.end(), order.begin(), order.end());
    for (std::uint32_t i = 0; i < shape.experts; ++i) {
      demo.variation_.push_back(Deviate(kDemoVariation, random));
    }
  }
  return demo;
}

Shares DemoShares::Next() {
  Shares shares;
  const std::size_t kind = window_++ % kinds_.size();
  for (std::size_t i = 0; i < demo_expert_of_.size(); ++i) {
    const std::size_t layer = i / shape_.experts % demo_layers_;
    const std::size_t cell = layer * demo_experts_ + demo_expert_of_[i];
    double mean = 0;
    for (const auto& rows : kinds_) mean += rows[cell] / static_cast<double>(kinds_.size());
    shares.push_back((mean + kinds_[kind][cell]) / 2 * variation_[i]);
  }
  return Normalised(shape_, std::move(shares));
}

std::vector<placement::UnitLoad> LoadsOf(const Shares& shares, double rows_per_call) {
  std::vector<placement::UnitLoad> loads;
  for (const double share : shares) {
    const double rows = share * rows_per_call;
    loads.push_back(
        {.rows = static_cast<float>(rows), .experts = static_cast<float>(1 - std::exp(-rows))});
  }
  return loads;
}

}  // namespace moesaic::bench
