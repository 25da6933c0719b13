#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "base/dtype.h"
#include "kernels/args_check.h"
#include "kernels/kv_cache.h"

namespace moesaic::kernels {

/// One sequence of a PagedBatch whose arrays lie on the host.
struct PagedSequence {
  std::int64_t row_begin = 0;
  std::int64_t row_end = 0;
  std::int64_t first_position = 0;
  const std::int32_t* block_table = nullptr;

  std::int64_t rows() const { return row_end - row_begin; }
  std::int64_t position(std::int64_t row) const { return first_position + (row - row_begin); }
};

inline PagedSequence SequenceAt(const PagedBatch& batch, std::int64_t s) {
  const std::int32_t* offsets = batch.row_offsets.As<std::int32_t>();
  return {offsets[s], offsets[s + 1], batch.first_positions.As<std::int32_t>()[s],
          batch.block_tables.As<std::int32_t>() + s * batch.block_tables.dim(1)};
}

/// The cached values of `position`, from `column` on. T: float or std::uint16_t (bf16).
template <typename T>
const T* CachedRow(const PagedKvView& cache, const PagedSequence& sequence, std::int64_t position,
                   std::int64_t column) {
  const std::int64_t tokens = cache.block_tokens();
  const std::int64_t slot = sequence.block_table[position / tokens] * tokens + position % tokens;
  return cache.pages.As<T>() + slot * cache.width() + column;
}

/// Adds the checks of a cache of `width` columns (or ArgsCheck::kAny).
void CheckCache(std::string_view name, const PagedKvView& cache,
                std::initializer_list<base::DType> types, std::int64_t width, ArgsCheck& check);
/// Adds the checks of a batch.
void CheckBatch(const PagedBatch& batch, ArgsCheck& check);

}  // namespace moesaic::kernels
