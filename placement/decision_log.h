#pragma once

#include <deque>
#include <string>

#include "absl/time/time.h"

namespace moesaic::placement {

/// What a coordinator decided lately and why, for `moesaic status --why`. Bounded: the oldest go.
/// Each is also a line of the log. Single-thread.
class DecisionLog {
 public:
  struct Decision {
    absl::Duration at;      ///< Monotonic.
    std::string text;       ///< One line.
    bool standing = false;  ///< Says why nothing was to change.
  };

  void Add(absl::Duration now, std::string text);
  /// Why nothing is to change: takes the place of the last such entry, and is not logged.
  void Refresh(absl::Duration now, std::string text);
  /// Oldest first.
  const std::deque<Decision>& decisions() const { return decisions_; }

 private:
  std::deque<Decision> decisions_;
};

}  // namespace moesaic::placement
