#include "services/cli/interrupt_scope.h"

#include <sys/signalfd.h>
#include <unistd.h>

namespace moesaic::services {

InterruptScope::InterruptScope() {
  sigset_t interrupt;
  sigemptyset(&interrupt);
  sigaddset(&interrupt, SIGINT);
  fd_ = signalfd(-1, &interrupt, SFD_NONBLOCK | SFD_CLOEXEC);
  if (fd_ >= 0) pthread_sigmask(SIG_BLOCK, &interrupt, &previous_);
}

InterruptScope::~InterruptScope() {
  if (fd_ < 0) return;
  signalfd_siginfo taken;
  while (read(fd_, &taken, sizeof(taken)) > 0) {
  }
  close(fd_);
  pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

}  // namespace moesaic::services
