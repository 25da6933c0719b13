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
  decisions_.push_back({.at = now, .text = std::move(text), .standing = false});
  if (decisions_.size() > kKept) decisions_.pop_front();
}

void DecisionLog::Refresh(absl::Duration now, std::string text) {
  if (!decisions_.empty() && decisions_.back().standing) decisions_.pop_back();
  decisions_.push_back({.at = now, .text = std::move(text), .standing = true});
  if (decisions_.size() > kKept) decisions_.pop_front();
}

}  // namespace moesaic::placement
