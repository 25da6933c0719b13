#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace moesaic::base {

/// Keeps repeated log lines from flooding whoever stores them. Lines are of one kind when they
/// differ in nothing but digits; of a kind, kBurst lines pass in each kWindow, and the rest is
/// counted. At most kMaxKinds are told apart at a time; more share one count. Time is passed in.
/// Thread-compatible.
class LogLimiter {
 public:
  static constexpr int kBurst = 10;
  static constexpr absl::Duration kWindow = absl::Seconds(10);
  static constexpr std::size_t kMaxKinds = 256;

  /// Whether the line may be written now (monotonic time).
  bool Admit(std::string_view message, absl::Duration now);

  /// Lines of one kind that were not written.
  struct Dropped {
    std::string example;  ///< The first line of the kind.
    std::uint64_t lines = 0;
  };
  /// What was dropped in windows that have ended, to be said once. Cheap when there is nothing.
  std::vector<Dropped> TakeDropped(absl::Duration now);

 private:
  struct Kind {
    std::string example;
    absl::Duration window_ends;
    int written = 0;
    std::uint64_t dropped = 0;
  };

  absl::flat_hash_map<std::string, Kind> kinds_;
  absl::Duration next_end_ = absl::InfiniteDuration();  // earliest window_ends
};

}  // namespace moesaic::base
