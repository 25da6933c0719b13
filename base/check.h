#pragma once

namespace moesaic::base {

/// Prints `file:line: CHECK failed: condition` to stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace moesaic::base

/// For what our own code guarantees; never for bytes from a network, a config or a checkpoint.
#define MOESAIC_CHECK(condition)                                                    \
  do {                                                                              \
    if (!(condition)) ::moesaic::base::CheckFailed(__FILE__, __LINE__, #condition); \
  } while (false)
