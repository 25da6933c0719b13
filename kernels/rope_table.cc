#include "kernels/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::kernels {
namespace {

/// The pair whose wavelength makes `rotations` turns within the original context.
double CorrectionDim(double rotations, const RopeOptions& options) {
  return options.dim *
         std::log(options.yarn->original_max_positions / (rotations * 2 * std::numbers::pi)) /
         (2 * std::log(options.theta));
}

/// YaRN's interpolation: high frequencies stay, low ones are divided by the factor, between the
/// correction dims a linear ramp (the authors' yarn_find_correction_range and linear_ramp_mask).
void Interpolate(const RopeOptions& options, std::vector<double>& inv_freq) {
  const YarnOptions& yarn = *options.yarn;
  const double low = std::max(0.0, std::floor(CorrectionDim(yarn.beta_fast, options)));
  double high = std::min(options.dim - 1.0, std::ceil(CorrectionDim(yarn.beta_slow, options)));
  if (high == low) high += 0.001;  // as the authors' code, against a division by zero
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    inv_freq[i] = inv_freq[i] / yarn.factor * ramp + inv_freq[i] * (1 - ramp);
  }
}

absl::Status Check(const RopeOptions& options) {
  const auto invalid = [](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("rope: ", what));
  };
  if (options.dim <= 0 || options.dim % 2 != 0) {
    return invalid(absl::StrCat("dim ", options.dim, " is not positive and even"));
  }
  if (!(options.theta > 1))
    return invalid(absl::StrCat("theta ", options.theta, " is not above 1"));
  if (options.max_positions < 0) return invalid("max_positions is negative");
  if (options.yarn.has_value()) {
    const YarnOptions& yarn = *options.yarn;
    if (!(yarn.factor >= 1)) return invalid(absl::StrCat("factor ", yarn.factor, " is below 1"));
    if (!(yarn.original_max_positions > 0))
      return invalid("original_max_positions is not positive");
    if (!(yarn.beta_fast > 0) || !(yarn.beta_slow > 0)) return invalid("a beta is not positive");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<double> RopeInvFreq(const RopeOptions& options) {
  std::vector<double> inv_freq(options.dim / 2);
  for (std::size_t i = 0; i < inv_freq.size(); ++i) {
    inv_freq[i] = std::pow(options.theta, -2.0 * static_cast<double>(i) / options.dim);
  }
  if (options.yarn.has_value()) Interpolate(options, inv_freq);
  return inv_freq;
}

double YarnMscale(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double YarnSoftmaxScale(int qk_head_dim, const std::optional<YarnOptions>& yarn) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(qk_head_dim));
  if (!yarn.has_value() || yarn->mscale_all_dim == 0) return scale;
  const double mscale = YarnMscale(yarn->factor, yarn->mscale_all_dim);
  return scale * mscale * mscale;
}

absl::StatusOr<RopeTable> RopeTable::Build(const RopeOptions& options) {
  MOESAIC_RETURN_IF_ERROR(Check(options));
  const std::vector<double> inv_freq = RopeInvFreq(options);
  const std::int64_t pairs = options.dim / 2;
  double mscale = 1;
  if (options.yarn.has_value()) {
    mscale = YarnMscale(options.yarn->factor, options.yarn->mscale) /
             YarnMscale(options.yarn->factor, options.yarn->mscale_all_dim);
  }
  RopeTable table;
  table.dim_ = options.dim;
  table.max_positions_ = options.max_positions;
  const std::size_t bytes = options.max_positions * pairs * sizeof(float);
  MOESAIC_ASSIGN_OR_RETURN(table.cos_, base::Buffer::Allocate(bytes));
  MOESAIC_ASSIGN_OR_RETURN(table.sin_, base::Buffer::Allocate(bytes));
  for (std::int64_t position = 0; position < options.max_positions; ++position) {
    for (std::int64_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<float>(position) * static_cast<float>(inv_freq[i]);
      table.cos_.As<float>()[position * pairs + i] = static_cast<float>(std::cos(angle) * mscale);
      table.sin_.As<float>()[position * pairs + i] = static_cast<float>(std::sin(angle) * mscale);
    }
  }
  return table;
}

}  // namespace moesaic::kernels
