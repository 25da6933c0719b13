#pragma once

#include <signal.h>

namespace moesaic::services {

/// While it lives, Ctrl-C (SIGINT) does not end the process but makes fd() readable; one that came
/// is forgotten at the end. For the main thread of a process without others.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  /// -1 when the system has no descriptor left; Ctrl-C then works as ever.
  int fd() const { return fd_; }

 private:
  sigset_t previous_;
  int fd_;
};

}  // namespace moesaic::services
