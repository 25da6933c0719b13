#pragma once

#include <gtest/gtest.h>

#include <string>

#include "absl/status/status.h"
#include "base/compute_pool.h"
#include "base/stream.h"
#include "kernels/simd.h"

namespace moesaic::testing {

/// Calls launch(stream) with a host stream over a pool of `threads` and returns its status when all
/// that it enqueued has run.
template <class LaunchFn>
absl::Status RunOnHost(int threads, LaunchFn launch) {
  base::ComputePool pool(threads);
  base::CpuStream stream(pool);
  return launch(static_cast<base::Stream&>(stream));
}

/// Runs body(threads) with every SIMD target of this machine and with 1 and 2 threads.
template <class Body>
void ForEachTargetAndThreads(Body body) {
  for (const std::string& target : kernels::SupportedSimdTargets()) {
    ASSERT_TRUE(kernels::SetMaxSimdTarget(target).ok());
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(target + ", " + std::to_string(threads) + " threads");
      body(threads);
    }
  }
  ASSERT_TRUE(kernels::SetMaxSimdTarget("auto").ok());
}

}  // namespace moesaic::testing
