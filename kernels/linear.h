#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "kernels/packed_matrix.h"

namespace moesaic::kernels {

/// y = x · Wᵀ. Each output is one chain of f32 fused multiply-adds over k ascending, from +0, with
/// the weight widened first; y is rounded once. So a row's bits depend on that row and W alone.
///
/// With fp8 weights there is such a chain for each block of 128 inputs that shares a scale, and the
/// output is the chain, over the blocks ascending, of fused multiply-adds of the block's chain and
/// its scale, from +0.
///
/// Where x is bf16 and W bf16 or fp8, subnormal numbers count as zeros of the same sign in these
/// chains, as operands and as results: so do dot-product instructions.
///
/// With i8 weights x too is quantised, group by group (kernels/int8.h), and an output is the chain,
/// over the groups ascending, of fused multiply-adds of the group's exact sum of products and
/// (x's scale * W's scale), from +0.
struct LinearArgs {
  /// [m, k] f32 or bf16.
  base::TensorView x = {};
  /// [n, k]; borrowed.
  const PackedMatrix* weight = nullptr;
  /// [m, n] f32 or bf16, overwritten; must not overlap x.
  base::TensorView y = {};
  /// Elements between rows; 0 means contiguous.
  std::int64_t x_row_stride = 0;
  std::int64_t y_row_stride = 0;
};

/// InvalidArgument on shapes, types or strides that do not fit; Unimplemented on a device that this
/// build has no kernel for, or i8 weights elsewhere than on the CPU.
absl::Status CanRun(const LinearArgs& args);

/// Bytes for `rows` rows: 0 (tiles live on the stack), or with i8 weights the quantised rows.
std::size_t LinearWorkspaceBytes(const PackedMatrix& weight, std::int64_t rows);
std::size_t WorkspaceBytes(const LinearArgs& args);

/// Enqueues the product; what args points to must live until the stream has passed it. workspace:
/// u8, at least WorkspaceBytes(args), aligned to 64 bytes.
/// Errors: those of CanRun; ResourceExhausted if the workspace is too small.
absl::Status Launch(const LinearArgs& args, base::TensorView workspace, base::Stream& stream);

/// The definition, as plain loops on the calling thread, host memory only. Requires: CanRun.
void LinearReference(const LinearArgs& args);

}  // namespace moesaic::kernels
