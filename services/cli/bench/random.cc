#include "services/cli/bench/random.h"

#include <cmath>
#include <numbers>

namespace moesaic::services {
namespace {

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;

std::uint64_t Mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(std::uint64_t seed, std::uint64_t stream)
    : state_(Mix(Mix(seed + kGolden) + stream)) {}

std::uint64_t Random::Next() { return Mix(state_ += kGolden); }

double Random::Uniform() { return static_cast<double>((Next() >> 11) + 1) * 0x1p-53; }

std::int64_t Random::UniformInt(std::int64_t low, std::int64_t high) {
  // Of at most 2^31 numbers none is favoured by more than 2^-33.
  const auto width = static_cast<std::uint64_t>(high - low) + 1;
  return low + static_cast<std::int64_t>(Next() % width);
}

double Random::Exponential() { return -std::log(Uniform()); }

double Random::Normal() {
  // Box and Muller 1958.
  const double radius = std::sqrt(2 * Exponential());
  return radius * std::cos(2 * std::numbers::pi * Uniform());
}

double Random::Gamma(double shape) {
  // Marsaglia and Tsang 2000; below 1 by their section 6.
  if (shape < 1) return Gamma(shape + 1) * std::pow(Uniform(), 1 / shape);
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = Normal();
    const double v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(Uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace moesaic::services
