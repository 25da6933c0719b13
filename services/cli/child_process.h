#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace moesaic::services {

/// Starts `arguments` (the program first) in a session of its own, so that a Ctrl-C in the terminal
/// reaches only the parent, with stdout and stderr appended to `log_path`, and asks the kernel to
/// send it SIGTERM if the parent dies. Call on the main thread: that is whose death the kernel
/// watches. Errors: Unavailable naming the program.
absl::StatusOr<pid_t> SpawnChild(const std::vector<std::string>& arguments,
                                 const std::string& log_path);

/// How a process ended, for people: "exit code 2" or "signal 9 (Killed)".
std::string DescribeExit(int wait_status);

}  // namespace moesaic::services
