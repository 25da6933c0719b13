#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "kernels/packed_matrix.h"

namespace moesaic::kernels {

/// One row's call of one expert.
struct ExpertEntry {
  std::int32_t row = 0;   ///< Row of ExpertFfnArgs::x.
  std::int32_t slot = 0;  ///< Row of ExpertFfnArgs::y that receives the weighted result.
  float weight = 0;       ///< Gate weight.
  bool first =
      false;  ///< Whether this is the first entry of its slot: overwrites, then others add.
};

/// An expert and the rows routed to it. Borrowed.
struct ExpertGroup {
  const PackedMatrix* gate_up = nullptr;  ///< [2 * inter, hidden]: gate above up.
  const PackedMatrix* down = nullptr;     ///< [hidden, inter].
  /// May be empty. No slot twice within a group.
  absl::Span<const ExpertEntry> entries = {};
};

/// The routed experts' feed-forward networks, grouped by expert: for every entry e of every group,
/// in the order of `groups` (experts ascending),
///     h = silu(gate x[e.row]) * up x[e.row], rounded to x's type
///     y[e.slot] = e.first ? e.weight * down h : fma(e.weight, down h, y[e.slot])
/// with matrix products as in LinearArgs (i8 weights quantise x and h). So a slot's bits depend on
/// its row, its experts and its weights alone. Slots without an entry are not touched.
struct ExpertFfnArgs {
  /// [rows, hidden] f32 or bf16 (the compute type).
  base::TensorView x = {};
  /// All with the same hidden and inter; host memory (groups, their entries), borrowed until the
  /// stream has passed the launch.
  absl::Span<const ExpertGroup> groups = {};
  /// [slots, hidden] f32.
  base::TensorView y = {};
};

/// InvalidArgument on shapes, types, indices out of range, or a slot whose first entry is not
/// marked `first`; Unimplemented on a device that this build has no kernel for, or i8 weights
/// elsewhere than on the CPU.
absl::Status CanRun(const ExpertFfnArgs& args);

/// Bytes for `rows` rows [hidden], `entries` row-expert pairs in all and inner width `inter`;
/// monotonic in all of them, so that a caller can allocate for the largest batch once.
std::size_t ExpertFfnWorkspaceBytes(std::int64_t rows, std::int64_t hidden, std::int64_t entries,
                                    std::int64_t inter);
std::size_t WorkspaceBytes(const ExpertFfnArgs& args);

/// Enqueues the computation. workspace: u8, at least WorkspaceBytes(args), aligned to 64 bytes.
/// Errors: those of CanRun; ResourceExhausted if the workspace is too small.
absl::Status Launch(const ExpertFfnArgs& args, base::TensorView workspace, base::Stream& stream);

/// The definition, as plain loops on the calling thread. Requires: CanRun, host memory.
void ExpertFfnReference(const ExpertFfnArgs& args);

}  // namespace moesaic::kernels
