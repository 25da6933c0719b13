#include "router/engine/step_layout.h"

#include <algorithm>
#include <utility>

namespace moesaic::router {
namespace {

void AddRow(const StepSlice& slice, std::int32_t slice_number, std::int32_t row, int block_tokens,
            MicroBatch& batch) {
  const std::int32_t position = slice.first_position + row;
  batch.token_ids.push_back(slice.tokens[row]);
  batch.positions.push_back(position);
  batch.kv_slots.push_back(slice.block_table[position / block_tokens] * block_tokens +
                           position % block_tokens);
  batch.row_slice.push_back(slice_number);
  batch.deadlines.push_back(slice.deadline);
}

/// Makes `batch` the micro-batch of slices [begin, end) of the step.
void Assemble(const StepBatch& step, std::int32_t begin, std::int32_t end, std::int32_t first_row,
              int block_tokens, MicroBatch& batch) {
  for (std::vector<std::int32_t>* values :
       {&batch.token_ids, &batch.positions, &batch.kv_slots, &batch.row_slice, &batch.row_offsets,
        &batch.first_positions, &batch.prompt_lengths}) {
    values->clear();
  }
  batch.deadlines.clear();
  batch.max_blocks = 0;
  batch.first_row = first_row;
  batch.first_slice = begin;
  batch.slices = end - begin;
  batch.row_offsets.push_back(0);
  for (std::int32_t s = begin; s < end; ++s) {
    const StepSlice& slice = step.slices[s];
    const auto tokens = static_cast<std::int32_t>(slice.tokens.size());
    for (std::int32_t row = 0; row < tokens; ++row) AddRow(slice, s, row, block_tokens, batch);
    batch.row_offsets.push_back(batch.row_offsets.back() + tokens);
    batch.first_positions.push_back(slice.first_position);
    batch.prompt_lengths.push_back(slice.prompt_length);
    batch.max_blocks =
        std::max(batch.max_blocks, static_cast<std::int32_t>(slice.block_table.size()));
  }
  batch.rows = batch.row_offsets.back();
  batch.block_tables.assign(std::size_t(batch.slices) * batch.max_blocks, 0);
  for (std::int32_t s = 0; s < batch.slices; ++s) {
    const auto& table = step.slices[begin + s].block_table;
    std::copy(table.begin(), table.end(),
              batch.block_tables.begin() + std::size_t(s) * batch.max_blocks);
  }
  batch.is_prefill.resize(batch.rows);
  for (std::int32_t row = 0; row < batch.rows; ++row) {
    batch.is_prefill[row] = batch.positions[row] < step.slices[batch.row_slice[row]].prompt_length;
  }
}

}  // namespace

void LayOut(const StepBatch& batch, int block_tokens, std::vector<MicroBatch>& laid_out) {
  std::int64_t total = 0;
  for (const StepSlice& slice : batch.slices) total += slice.tokens.size();
  std::size_t count = 0;
  const auto slices = static_cast<std::int32_t>(batch.slices.size());
  std::int32_t begin = 0;
  std::int64_t begin_row = 0;
  std::int64_t row = 0;
  for (std::int32_t s = 0; s < slices; ++s) {
    row += batch.slices[s].tokens.size();
    // Ends here when what this many micro-batches should hold is no nearer after the next slice.
    const std::int64_t share = (static_cast<std::int64_t>(count) + 1) * total;
    if (s + 1 < slices) {
      const auto next = static_cast<std::int64_t>(batch.slices[s + 1].tokens.size());
      if ((2 * row + next) * batch.micro_batches <= 2 * share) continue;
    }
    if (laid_out.size() == count) laid_out.emplace_back();
    Assemble(batch, begin, s + 1, static_cast<std::int32_t>(begin_row), block_tokens,
             laid_out[count++]);
    begin = s + 1;
    begin_row = row;
  }
  laid_out.resize(count);
}

}  // namespace moesaic::router
