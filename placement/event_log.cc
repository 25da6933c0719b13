#include "placement/event_log.h"

#include <utility>

#include "base/log.h"

namespace moesaic::placement {
namespace {

/// A day of a calm cluster, and the last minutes of a busy one.
constexpr std::size_t kKept = 256;

}  // namespace

void EventLog::Add(absl::Duration now, Kind kind, std::string text) {
  if (kind == Kind::kTrouble) {
    base::LogWarning(text);
  } else {
    base::LogInfo(kind == Kind::kDecision ? "placement: " : "", text);
  }
  Keep({.at = now, .kind = kind, .text = std::move(text), .standing = false});
}

void EventLog::Refresh(absl::Duration now, std::string text) {
  if (!events_.empty() && events_.back().standing) events_.pop_back();
  Keep({.at = now, .kind = Kind::kDecision, .text = std::move(text), .standing = true});
}

void EventLog::Keep(Event event) {
  events_.push_back(std::move(event));
  if (events_.size() > kKept) events_.pop_front();
}

}  // namespace moesaic::placement
