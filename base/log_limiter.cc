#include "base/log_limiter.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace moesaic::base {
namespace {

/// What lines of a kind have in common; long messages are told apart by their beginning.
std::string KindOf(std::string_view message) {
  constexpr std::size_t kMaxLength = 200;
  std::string kind;
  for (const char c : message.substr(0, kMaxLength)) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      kind += c;
    } else if (kind.empty() || kind.back() != '#') {
      kind += '#';
    }
  }
  return kind;
}

}  // namespace

bool LogLimiter::Admit(std::string_view message, absl::Duration now) {
  std::string key = KindOf(message);
  if (kinds_.size() >= kMaxKinds && !kinds_.contains(key)) key = "";
  Kind& kind = kinds_[key];
  if (kind.written == 0) {
    kind.example = std::string(message);
    kind.window_ends = now + kWindow;
    next_end_ = std::min(next_end_, kind.window_ends);
  }
  if (kind.written < kBurst) {
    ++kind.written;
    return true;
  }
  ++kind.dropped;
  return false;
}

std::vector<LogLimiter::Dropped> LogLimiter::TakeDropped(absl::Duration now) {
  std::vector<Dropped> dropped;
  if (now < next_end_) return dropped;
  next_end_ = absl::InfiniteDuration();
  absl::erase_if(kinds_, [&](const auto& entry) {
    const Kind& kind = entry.second;
    if (kind.window_ends > now) {
      next_end_ = std::min(next_end_, kind.window_ends);
      return false;
    }
    if (kind.dropped > 0) dropped.push_back({kind.example, kind.dropped});
    return true;
  });
  return dropped;
}

}  // namespace moesaic::base
