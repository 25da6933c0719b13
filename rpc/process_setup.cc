#include "rpc/process_setup.h"

#include <sys/resource.h>

#include <cstdlib>
#include <thread>

#include "absl/synchronization/mutex.h"

namespace moesaic::rpc {

void PrepareProcess() {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  setenv("GRPC_POLL_STRATEGY", "poll", /*overwrite=*/0);
  setenv("GRPC_CLIENT_CHANNEL_BACKUP_POLL_INTERVAL_MS", "100", /*overwrite=*/0);
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0 && descriptors.rlim_cur < descriptors.rlim_max) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
}

absl::Duration SpinBeside(int compute_threads) {
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  return cores > compute_threads ? absl::Microseconds(50) : absl::ZeroDuration();
}

}  // namespace moesaic::rpc
