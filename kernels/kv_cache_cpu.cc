#include <algorithm>
#include <cstring>

#include "kernels/backends.h"
#include "kernels/reference.h"

namespace moesaic::kernels {
namespace {

/// Rows per work item: enough that handing one out costs less than the copy.
constexpr std::int64_t kRowsPerItem = 16;

void WriteRow(const KvWriteArgs& args, std::int64_t row) {
  const std::int64_t slot = args.slots.As<std::int32_t>()[row];
  if (slot < 0) return;
  const std::int64_t width = args.rows.dim(1);
  const std::int64_t from = row * width;
  const std::int64_t to = slot * args.cache.width() + args.first_column;
  const base::TensorView& pages = args.cache.pages;
  if (pages.dtype != args.rows.dtype) {
    for (std::int64_t i = 0; i < width; ++i) {
      reference::Store(reference::Load(args.rows, from + i), pages, to + i);
    }
    return;
  }
  const auto size = static_cast<std::int64_t>(base::DTypeBytes(pages.dtype));
  std::memcpy(pages.As<char>() + to * size, args.rows.As<char>() + from * size,
              static_cast<std::size_t>(width * size));
}

}  // namespace

void cpu::Run(const KvWriteArgs& args, base::ComputePool& pool) {
  const std::int64_t rows = args.rows.dim(0);
  pool.ParallelFor((rows + kRowsPerItem - 1) / kRowsPerItem, [&](std::int64_t item) {
    const std::int64_t end = std::min(rows, (item + 1) * kRowsPerItem);
    for (std::int64_t row = item * kRowsPerItem; row < end; ++row) WriteRow(args, row);
  });
}

}  // namespace moesaic::kernels
