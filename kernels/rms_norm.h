#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"

namespace moesaic::kernels {

/// y = (x * r) * weight, r = 1 / sqrt(sum(x²) / n + eps) (Zhang & Sennrich 2019, eq. 4), per row or
/// per head. The sum runs in 16 logical lanes (element i in lane i % 16, FMA over i ascending),
/// then the tree 8, 4, 2, 1. All in f32, y rounded once.
struct RmsNormArgs {
  /// [rows, n], or [rows, heads, n] with heads adjacent; f32.
  base::TensorView x = {};
  /// [n] f32 or bf16, shared by all heads.
  base::TensorView weight = {};
  /// Shape of x, f32 or bf16. May be x itself.
  base::TensorView y = {};
  float eps = 1e-6f;
  /// Elements between rows; 0 means contiguous.
  std::int64_t x_row_stride = 0;
  std::int64_t y_row_stride = 0;
};

/// InvalidArgument on shapes, types or strides that do not fit; Unimplemented on a device that this
/// build has no kernel for.
absl::Status CanRun(const RmsNormArgs& args);
/// 0.
std::size_t WorkspaceBytes(const RmsNormArgs& args);
/// Enqueues the norm. Errors: those of CanRun.
absl::Status Launch(const RmsNormArgs& args, base::TensorView workspace, base::Stream& stream);
/// The definition, as plain loops on the calling thread. Requires: CanRun, host memory.
void RmsNormReference(const RmsNormArgs& args);

}  // namespace moesaic::kernels
