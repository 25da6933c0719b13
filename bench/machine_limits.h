#pragma once

#include <string>

#include "base/compute_pool.h"

namespace moesaic::bench {

/// What this machine does at best, with every thread of a pool busy.
struct MachineLimits {
  double read_bytes_per_s = 0;  ///< Streaming reads of memory far larger than the caches.
  double flops_per_s = 0;       ///< f32 fused multiply-adds in registers, two FLOPs each.
  /// The same with dot products of bf16 and of int8 (VNNI), two operations a multiply-add; 0 where
  /// kernels use none, since they then do about as many as of f32.
  double bf16_flops_per_s = 0;
  double int8_ops_per_s = 0;
};

/// Measures for about half a second; the best of several rounds.
MachineLimits MeasureMachineLimits(base::ComputePool& pool);

/// The same of a CUDA device, and the name it gives itself. Without CUDA: 0 and "".
MachineLimits MeasureCudaLimits(int device_index);
std::string CudaDeviceName(int device_index);

}  // namespace moesaic::bench
