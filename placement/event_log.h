#pragma once

#include <deque>
#include <string>

#include "absl/time/time.h"

namespace moesaic::placement {

/// What happened in a cluster lately and what its coordinator decided, in words: for `moesaic
/// status --why`, `moesaic top` and the console. Bounded: the oldest go. Each is also a line of the
/// log. Single-thread.
class EventLog {
 public:
  enum class Kind {
    kDecision,  ///< What the coordinator decided, and why.
    kChange,    ///< Somebody came, left as asked, or did what was decided.
    kTrouble,   ///< Something was lost, or hurts.
    kRecovery,  ///< It is well again.
  };
  struct Event {
    absl::Duration at;  ///< Monotonic.
    Kind kind = Kind::kDecision;
    std::string text;       ///< One line.
    bool standing = false;  ///< Says why nothing was to change.
  };

  void Add(absl::Duration now, Kind kind, std::string text);
  /// Why nothing is to change: takes the place of the last such entry, and is not logged.
  void Refresh(absl::Duration now, std::string text);
  /// Oldest first.
  const std::deque<Event>& events() const { return events_; }

 private:
  void Keep(Event event);

  std::deque<Event> events_;
};

}  // namespace moesaic::placement
