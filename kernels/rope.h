#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "kernels/rope_table.h"

namespace moesaic::kernels {

/// Which elements of a head form pair i.
enum class RopePairing {
  kInterleaved,  ///< (2i, 2i + 1): DeepSeek checkpoints.
  kHalfSplit,    ///< (i, i + dim / 2): the others.
};

/// Rotates pair (a, b) to (a·cos − b·sin, b·cos + a·sin): each a product rounded once, then one
/// FMA. The pairs keep their places. A part of a head is rotated by pointing x and y at the part
/// and giving the strides of the whole.
struct RopeArgs {
  /// [rows, heads, dim] f32, dim = table->dim().
  base::TensorView x = {};
  /// Shape of x, f32 or bf16. May be x itself.
  base::TensorView y = {};
  /// [rows] i32, absolute positions within the table.
  base::TensorView positions = {};
  /// Borrowed.
  const RopeTable* table = nullptr;
  RopePairing pairing = RopePairing::kHalfSplit;
  /// Elements between rows and between heads of a row; 0 means contiguous.
  std::int64_t x_row_stride = 0;
  std::int64_t x_head_stride = 0;
  std::int64_t y_row_stride = 0;
  std::int64_t y_head_stride = 0;
};

/// InvalidArgument on shapes, types, strides or positions that do not fit; Unimplemented on a
/// device that this build has no kernel for.
absl::Status CanRun(const RopeArgs& args);
/// 0.
std::size_t WorkspaceBytes(const RopeArgs& args);
/// Enqueues the rotation. Errors: those of CanRun.
absl::Status Launch(const RopeArgs& args, base::TensorView workspace, base::Stream& stream);
/// The definition, as plain loops on the calling thread. Requires: CanRun, host memory.
void RopeReference(const RopeArgs& args);

}  // namespace moesaic::kernels
