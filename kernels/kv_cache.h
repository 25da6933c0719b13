#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"

namespace moesaic::kernels {

/// The pages of one layer's cache: [blocks, block_tokens, width], f32 or bf16. A position of a
/// sequence lives at pages[table[p / block_tokens]][p % block_tokens]. Width is kv_heads * head_dim
/// for the keys of grouped-query attention, kv_heads * v_dim for its values (a second tensor), and
/// kv_lora + rope for multi-head latent attention: [c | k_rope]. Immutable value.
struct PagedKvView {
  base::TensorView pages;

  std::int64_t blocks() const { return pages.dim(0); }
  std::int64_t block_tokens() const { return pages.dim(1); }
  std::int64_t width() const { return pages.dim(2); }
};

/// The sequences of one attention launch; prefill chunks and decodes mix freely. What the arrays
/// hold is the caller's guarantee: they may lie in a device's memory, so no op checks their values
/// before it runs. Immutable value.
struct PagedBatch {
  /// i32 [sequences + 1], non-decreasing from 0: sequence s owns the query rows
  /// [row_offsets[s], row_offsets[s + 1]).
  base::TensorView row_offsets;
  /// i32 [sequences]: absolute position of a sequence's first row; its row i stands at
  /// first_positions[s] + i and attends the keys 0 … first_positions[s] + i, all of them written.
  base::TensorView first_positions;
  /// i32 [sequences, max_blocks]: page numbers; entries past the last position are not read.
  base::TensorView block_tables;

  std::int64_t sequences() const { return first_positions.dim(0); }
};

/// Arguments of the op that appends rows to a cache.
struct KvWriteArgs {
  /// [rows, row_width], f32 or bf16.
  base::TensorView rows;
  /// i32 [rows]: block * block_tokens + offset of each row; -1 skips it. Distinct otherwise.
  base::TensorView slots;
  PagedKvView cache;
  /// The rows go to columns [first_column, first_column + row_width) of the cache, so that the
  /// latent part and the rotary part of a cache row can be written apart.
  std::int64_t first_column = 0;
};

/// Errors: InvalidArgument naming what does not fit; Unimplemented for a device without this op.
absl::Status CanRun(const KvWriteArgs& args);
/// 0.
std::size_t WorkspaceBytes(const KvWriteArgs& args);
/// Enqueues the write. f32 rows into a bf16 cache are rounded to nearest even; bf16 rows into an
/// f32 cache are widened. Errors: those of CanRun.
absl::Status Launch(const KvWriteArgs& args, base::TensorView workspace, base::Stream& stream);

}  // namespace moesaic::kernels
