#include "base/retry_delay.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace moesaic::base {
namespace {

constexpr absl::string_view kUrl = "moesaic/retry_delay_ms";

}  // namespace

absl::Status WithRetryDelay(absl::Status status, absl::Duration delay) {
  const std::int64_t delay_ms = std::max<std::int64_t>(0, absl::ToInt64Milliseconds(delay));
  status.SetPayload(kUrl, absl::Cord(absl::StrCat(delay_ms)));
  return status;
}

std::optional<absl::Duration> RetryDelay(const absl::Status& status) {
  const auto payload = status.GetPayload(kUrl);
  std::int64_t delay_ms = 0;
  if (!payload || !absl::SimpleAtoi(std::string(*payload), &delay_ms)) return std::nullopt;
  return absl::Milliseconds(delay_ms);
}

}  // namespace moesaic::base
