#include "services/cli/bench/length_distribution.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/strings.h"

namespace moesaic::services {
namespace {

/// "A<separator>B" as two numbers.
bool ParsePair(absl::string_view text, char separator, double& a, double& b) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, separator);
  return parts.size() == 2 && absl::SimpleAtod(parts[0], &a) && absl::SimpleAtod(parts[1], &b) &&
         std::isfinite(a) && std::isfinite(b);
}

bool IsLength(double tokens) {
  return tokens >= 1 && tokens <= LengthDistribution::kMaxTokens && tokens == std::floor(tokens);
}

}  // namespace

absl::StatusOr<LengthDistribution> LengthDistribution::Parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  const absl::string_view rest =
      colon == std::string_view::npos ? absl::string_view() : base::ToAbsl(text.substr(colon + 1));
  double a = 0;
  double b = 0;
  if (colon == std::string_view::npos && absl::SimpleAtod(base::ToAbsl(text), &a) && IsLength(a)) {
    return LengthDistribution(std::string(text), Shape::kUniform, a, a);
  }
  if (name == "uniform" && ParsePair(rest, '-', a, b) && IsLength(a) && IsLength(b) && a <= b) {
    return LengthDistribution(std::string(text), Shape::kUniform, a, b);
  }
  const bool spread = ParsePair(rest, ',', a, b) && a >= 1 && a <= kMaxTokens && b >= 0;
  if (name == "normal" && spread && b <= kMaxTokens) {
    return LengthDistribution(std::string(text), Shape::kNormal, a, b);
  }
  if (name == "lognormal" && spread && b <= 10) {
    return LengthDistribution(std::string(text), Shape::kLogNormal, a, b);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(text), "' is no length: 64, uniform:16-96, normal:64,16 or ",
                   "lognormal:64,0.5, of 1 to ", kMaxTokens, " tokens"));
}

std::int64_t LengthDistribution::Sample(Random& random) const {
  double tokens = 0;
  switch (shape_) {
    case Shape::kUniform:
      return random.UniformInt(static_cast<std::int64_t>(a_), static_cast<std::int64_t>(b_));
    case Shape::kNormal:
      tokens = a_ + b_ * random.Normal();
      break;
    case Shape::kLogNormal:
      tokens = a_ * std::exp(b_ * random.Normal());
      break;
  }
  return static_cast<std::int64_t>(
      std::clamp(std::round(tokens), 1.0, static_cast<double>(kMaxTokens)));
}

}  // namespace moesaic::services
