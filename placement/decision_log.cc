#include "placement/decision_log.h"

#include <utility>

#include "base/log.h"

namespace moesaic::placement {
namespace {

/// A day of a calm cluster, and the last minutes of a busy one.
constexpr std::size_t kKept = 256;

}  // namespace

void DecisionLog::Add(absl::Duration now, std::string text) {
  base::LogInfo("placement: ", text);
  decisions_.push_back({now, std::move(text)});
  if (decisions_.size() > kKept) decisions_.pop_front();
}

}  // namespace moesaic::placement
