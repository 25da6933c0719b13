#include "kernels/kv_cache.h"

#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/paged_sequence.h"

namespace moesaic::kernels {

using base::DType;

void CheckCache(std::string_view name, const PagedKvView& cache, std::initializer_list<DType> types,
                std::int64_t width, ArgsCheck& check) {
  check.Tensor(name, cache.pages, types, {ArgsCheck::kAny, ArgsCheck::kAny, width})
      .That(cache.pages.rank != 3 || cache.block_tokens() >= 1, "a page holds no token");
}

void CheckBatch(const PagedBatch& batch, ArgsCheck& check) {
  const std::int64_t sequences = batch.sequences();
  check.Tensor("first_positions", batch.first_positions, {DType::kI32}, {ArgsCheck::kAny})
      .Tensor("row_offsets", batch.row_offsets, {DType::kI32}, {sequences + 1})
      .Tensor("block_tables", batch.block_tables, {DType::kI32}, {sequences, ArgsCheck::kAny});
}

absl::Status CanRun(const KvWriteArgs& args) {
  ArgsCheck check("kv_write");
  check.Tensor("rows", args.rows, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, ArgsCheck::kAny})
      .Tensor("slots", args.slots, {DType::kI32}, {args.rows.dim(0)});
  CheckCache("cache", args.cache, {DType::kF32, DType::kBF16}, ArgsCheck::kAny, check);
  return check
      .That(args.first_column >= 0 && args.first_column <= args.cache.width() - args.rows.dim(1),
            "the columns written are outside a cache row")
      .status();
}

std::size_t WorkspaceBytes(const KvWriteArgs&) { return 0; }

absl::Status Launch(const KvWriteArgs& args, base::TensorView, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  return LaunchOnCpu(args, stream);
}

}  // namespace moesaic::kernels
