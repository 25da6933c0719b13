#include "router/api/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/open_suffix.h"

namespace moesaic::router {

std::string StopMatcher::Push(std::string_view text) {
  if (matched_) return {};
  if (stops_.empty()) return std::string(text);
  held_ += text;
  // held_ begins where a match may begin, so a match found now ends in the new text.
  std::size_t best_begin = 0;
  std::size_t best_end = std::string::npos;
  for (const std::string& stop : stops_) {
    const std::size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    const std::size_t end = begin + stop.size();
    if (end < best_end || (end == best_end && begin < best_begin)) {
      best_begin = begin;
      best_end = end;
    }
  }
  if (best_end != std::string::npos) {
    matched_ = true;
    held_.resize(best_begin);
    return std::exchange(held_, {});
  }
  std::size_t open = 0;
  for (const std::string& stop : stops_) open = std::max(open, base::OpenSuffix(held_, stop));
  std::string certain = held_.substr(0, held_.size() - open);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopMatcher::Finish() { return std::exchange(held_, {}); }

}  // namespace moesaic::router
