#pragma once

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace moesaic::rpc {

// gRPC orders what one thread gives it before what another thread gets back, but does so inside an
// uninstrumented library, where ThreadSanitizer does not see it. These two state that order for one
// address; they do nothing in other builds.

/// What this thread has written so far is handed over to gRPC with `address`.
inline void MarkReleased([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(address);
#endif
}

/// gRPC gave `address` back to this thread.
inline void MarkAcquired([[maybe_unused]] void* address) {
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(address);
#endif
}

}  // namespace moesaic::rpc
