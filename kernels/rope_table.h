#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/tensor.h"

namespace moesaic::kernels {

/// YaRN (Peng et al. 2023) as DeepSeek configures it: `rope_scaling` of type "yarn".
struct YarnOptions {
  double factor = 1;
  double original_max_positions = 4096;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 1;
  double mscale_all_dim = 0;
};

struct RopeOptions {
  /// Rotated values of a head, even.
  int dim = 0;
  double theta = 10000;
  std::optional<YarnOptions> yarn = std::nullopt;
  /// Positions [0, max_positions) can be looked up.
  std::int64_t max_positions = 0;
};

/// Rotation frequencies [dim / 2], of pair i: theta^(-2i/dim), with YaRN interpolated by the ramp.
/// Requires: dim > 0.
std::vector<double> RopeInvFreq(const RopeOptions& options);

/// mscale(s, m) = 0.1 m ln s + 1; 1 if s <= 1.
double YarnMscale(double factor, double mscale);

/// qk_head_dim^-0.5, with YaRN times mscale(factor, mscale_all_dim)² (absent from the published V2
/// implementations, present in the authors' own). mscale_all_dim = 0 leaves it out.
double YarnSoftmaxScale(int qk_head_dim, const std::optional<YarnOptions>& yarn);

/// cos and sin of every position and pair, computed in double and rounded once to f32; with YaRN
/// times mscale(factor, mscale) / mscale(factor, mscale_all_dim). The angle itself is the f32
/// product position * inv_freq, as in every published model's code: the models were trained with
/// its rounding, which at position 300 already moves a log-probability by 1e-4. Owns its memory,
/// immutable.
class RopeTable {
 public:
  RopeTable() = default;
  /// Errors: InvalidArgument naming the option; ResourceExhausted.
  static absl::StatusOr<RopeTable> Build(const RopeOptions& options);

  int dim() const { return dim_; }
  std::int64_t max_positions() const { return max_positions_; }
  base::Device device() const { return cos_.device(); }
  /// [max_positions, dim / 2].
  const float* cos() const { return cos_.As<float>(); }
  const float* sin() const { return sin_.As<float>(); }

 private:
  int dim_ = 0;
  std::int64_t max_positions_ = 0;
  base::Buffer cos_;
  base::Buffer sin_;
};

}  // namespace moesaic::kernels
