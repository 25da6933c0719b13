#include "tests/unit/kernels/paged_batch.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::HostTensor;

HostTensor Ints(const std::vector<std::int32_t>& values) {
  HostTensor tensor(DType::kI32, {static_cast<std::int64_t>(values.size())});
  std::copy(values.begin(), values.end(), tensor.As<std::int32_t>());
  return tensor;
}

void CopyRow(const base::TensorView& from, std::int64_t from_row, const base::TensorView& to,
             std::int64_t to_row, std::int64_t width) {
  const auto size = static_cast<std::int64_t>(base::DTypeBytes(from.dtype)) * width;
  std::memcpy(to.As<char>() + to_row * size, from.As<char>() + from_row * size,
              static_cast<std::size_t>(size));
}

void FillNaN(const base::TensorView& tensor) {
  for (std::int64_t i = 0; i < tensor.elements(); ++i) {
    if (tensor.dtype == DType::kF32) {
      tensor.As<float>()[i] = std::numeric_limits<float>::quiet_NaN();
    } else {
      tensor.As<std::uint16_t>()[i] = 0x7FC0;
    }
  }
}

}  // namespace

TestBatch::TestBatch(std::vector<TestSequence> sequences, int block_tokens)
    : sequences_(std::move(sequences)), block_tokens_(block_tokens) {
  std::vector<std::int32_t> offsets = {0};
  std::vector<std::int32_t> firsts;
  std::vector<std::int32_t> prompts;
  for (const TestSequence& sequence : sequences_) {
    rows_ += sequence.rows;
    offsets.push_back(static_cast<std::int32_t>(rows_));
    firsts.push_back(sequence.first_position);
    prompts.push_back(sequence.prompt_length);
    const std::int64_t blocks = (sequence.length() + block_tokens_ - 1) / block_tokens_;
    blocks_ += blocks;
    max_blocks_ = std::max(max_blocks_, blocks);
  }
  row_offsets_ = Ints(offsets);
  first_positions_ = Ints(firsts);
  prompt_lengths_ = Ints(prompts);
  const auto count = static_cast<std::int64_t>(sequences_.size());
  block_tables_ = HostTensor(DType::kI32, {count, max_blocks_});
  std::int64_t next = blocks_;
  for (std::int64_t s = 0; s < count; ++s) {
    for (std::int64_t b = 0; b < max_blocks_; ++b) {
      const bool used = b * block_tokens_ < sequences_[static_cast<std::size_t>(s)].length();
      block_tables_.As<std::int32_t>()[s * max_blocks_ + b] =
          used ? static_cast<std::int32_t>(--next) : -1;
    }
  }
}

PagedBatch TestBatch::batch() const { return {row_offsets_, first_positions_, block_tables_}; }

std::vector<std::int32_t> TestBatch::Slots(std::size_t s) const {
  std::vector<std::int32_t> slots;
  const std::int32_t* table =
      block_tables_.As<std::int32_t>() + static_cast<std::int64_t>(s) * max_blocks_;
  for (int p = 0; p < sequences_[s].length(); ++p) {
    slots.push_back(table[p / block_tokens_] * block_tokens_ + p % block_tokens_);
  }
  return slots;
}

HostTensor TestBatch::Cache(DType dtype, std::int64_t width, int kind) const {
  HostTensor cache(dtype, {blocks_, block_tokens_, width});
  FillNaN(cache);
  for (std::size_t s = 0; s < sequences_.size(); ++s) {
    const auto seed = static_cast<std::uint64_t>(sequences_[s].id * 16 + kind);
    const HostTensor rows = HostTensor::Random(dtype, {sequences_[s].length(), width}, seed);
    const std::vector<std::int32_t> slots = Slots(s);
    for (std::size_t p = 0; p < slots.size(); ++p) {
      CopyRow(rows, static_cast<std::int64_t>(p), cache, slots[p], width);
    }
  }
  return cache;
}

HostTensor TestBatch::Queries(DType dtype, std::int64_t width) const {
  HostTensor queries(dtype, {rows_, width});
  std::int64_t row = 0;
  for (const TestSequence& sequence : sequences_) {
    const HostTensor all = HostTensor::Random(dtype, {sequence.length(), width},
                                              static_cast<std::uint64_t>(sequence.id) + 7777);
    for (int i = 0; i < sequence.rows; ++i) {
      CopyRow(all, sequence.first_position + i, queries, row++, width);
    }
  }
  return queries;
}

base::TensorView RowsOf(const base::TensorView& tensor, std::int64_t begin, std::int64_t end) {
  base::TensorView rows = tensor;
  rows.data = tensor.As<char>() +
              begin * tensor.dim(1) * static_cast<std::int64_t>(base::DTypeBytes(tensor.dtype));
  rows.shape[0] = end - begin;
  return rows;
}

}  // namespace moesaic::kernels
