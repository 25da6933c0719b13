#pragma once

#include <cstdint>

namespace moesaic::services {

/// Random numbers that are the same everywhere: SplitMix64 (Steele, Lea, Flood 2014), and
/// distributions written out, since those of the standard library are each library's own.
/// Single-thread.
class Random {
 public:
  /// Different streams of one seed are independent.
  Random(std::uint64_t seed, std::uint64_t stream);

  std::uint64_t Next();
  double Uniform();                                              ///< (0, 1].
  std::int64_t UniformInt(std::int64_t low, std::int64_t high);  ///< Both included.
  double Exponential();                                          ///< Of mean 1.
  double Normal();                                               ///< Of mean 0, deviation 1.
  double Gamma(double shape);  ///< Of scale 1, so of mean `shape`, which is positive.

 private:
  std::uint64_t state_;
};

}  // namespace moesaic::services
