#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kv_cache.h"
#include "tests/testing/host_tensor.h"

namespace moesaic::kernels {

/// One sequence of a test batch. `id` decides its cached values, so that the same sequence can be
/// placed in other batches, pages and chunks.
struct TestSequence {
  int id = 0;
  int first_position = 0;
  int rows = 1;
  int prompt_length = 0;

  int length() const { return first_position + rows; }
};

/// Builds batches, block tables (pages in scrambled order) and caches for tests of attention.
class TestBatch {
 public:
  TestBatch(std::vector<TestSequence> sequences, int block_tokens);

  PagedBatch batch() const;
  const base::TensorView& prompt_lengths() const { return prompt_lengths_.view(); }
  std::int64_t rows() const { return rows_; }

  /// A cache whose rows depend on (kind, sequence id, position) alone; what no sequence owns is
  /// NaN, so that reading past an end shows.
  testing::HostTensor Cache(base::DType dtype, std::int64_t width, int kind) const;
  /// [rows, width], each row depending on (sequence id, position) alone.
  testing::HostTensor Queries(base::DType dtype, std::int64_t width) const;
  /// The slot of every position of sequence number s.
  std::vector<std::int32_t> Slots(std::size_t s) const;

 private:
  std::vector<TestSequence> sequences_;
  int block_tokens_;
  std::int64_t rows_ = 0;
  std::int64_t blocks_ = 0;
  std::int64_t max_blocks_ = 0;
  testing::HostTensor row_offsets_;
  testing::HostTensor first_positions_;
  testing::HostTensor block_tables_;
  testing::HostTensor prompt_lengths_;
};

/// Rows [begin, end) of a [rows, width] tensor.
base::TensorView RowsOf(const base::TensorView& tensor, std::int64_t begin, std::int64_t end);

}  // namespace moesaic::kernels
