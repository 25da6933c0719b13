#pragma once

#include <cstdint>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "router/engine/step_batch.h"

namespace moesaic::router {

/// The rows of consecutive slices, computed together, and what the ops must know of them. A row is
/// one position of one slice; rows are numbered through the step, slice after slice. All arrays
/// are host memory and stay unchanged until the step is done.
struct MicroBatch {
  std::int32_t first_row = 0;
  std::int32_t rows = 0;
  std::int32_t first_slice = 0;
  std::int32_t slices = 0;

  std::vector<std::int32_t> token_ids;        ///< [rows]
  std::vector<std::int32_t> positions;        ///< [rows], absolute
  std::vector<std::int32_t> kv_slots;         ///< [rows], block * block_tokens + offset
  std::vector<std::int32_t> row_slice;        ///< [rows], slice of each row, counted in the step
  std::vector<std::int32_t> row_offsets;      ///< [slices + 1], within this micro-batch
  std::vector<std::int32_t> first_positions;  ///< [slices]
  std::vector<std::int32_t> prompt_lengths;   ///< [slices]
  std::vector<std::int32_t> block_tables;     ///< [slices, max_blocks]
  std::int32_t max_blocks = 0;
  absl::InlinedVector<bool, 8> is_prefill;  ///< [rows], contiguous unlike std::vector<bool>
  std::vector<absl::Duration> deadlines;    ///< [rows]
};

/// Lays a step out in at most batch.micro_batches micro-batches of about equally many rows, each
/// of whole slices. `laid_out` is overwritten; the memory it has is used again.
void LayOut(const StepBatch& batch, int block_tokens, std::vector<MicroBatch>& laid_out);

}  // namespace moesaic::router
