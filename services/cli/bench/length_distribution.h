#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "services/cli/bench/random.h"

namespace moesaic::services {

/// How long prompts or answers are, in tokens: "64", "uniform:16-96", "normal:MEAN,DEVIATION", or
/// "lognormal:MEDIAN,SIGMA" (sigma of the natural logarithm). Never below 1 nor above
/// kMaxTokens. Immutable.
class LengthDistribution {
 public:
  static constexpr std::int64_t kMaxTokens = 1 << 20;

  /// Errors: InvalidArgument, naming the text.
  static absl::StatusOr<LengthDistribution> Parse(std::string_view text);

  std::int64_t Sample(Random& random) const;
  const std::string& text() const { return text_; }

 private:
  enum class Shape { kUniform, kNormal, kLogNormal };
  LengthDistribution(std::string text, Shape shape, double a, double b)
      : text_(std::move(text)), shape_(shape), a_(a), b_(b) {}

  std::string text_;
  Shape shape_;
  double a_;  // lowest, mean, or median
  double b_;  // highest, deviation, or sigma
};

}  // namespace moesaic::services
