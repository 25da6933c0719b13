#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/backends.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/linear_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/linear-inl.h"
#include "kernels/linear_int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

template <class Y>
HWY_INLINE void StoreBlock(const LinearArgs& args, std::int64_t group, std::int64_t row_begin,
                           std::int64_t m, const float* acc) {
  const std::int64_t y_stride = StrideOr(args.y_row_stride, args.weight->n());
  const std::int64_t n_begin = group * kGroupOutputs;
  const std::int64_t outputs = std::min(kGroupOutputs, args.weight->n() - n_begin);
  for (std::int64_t i = 0; i < m; ++i) {
    StoreOutputs(acc + i * kGroupOutputs, outputs,
                 args.y.As<Y>() + (row_begin + i) * y_stride + n_begin);
  }
}

/// One work item: a group of panels for a block of rows.
template <class X, class Y>
HWY_INLINE void LinearBlockAs(const LinearArgs& args, std::int64_t group, std::int64_t row_begin) {
  const PackedMatrix& w = *args.weight;
  const std::int64_t m = std::min(kBlockRows, args.x.dim(0) - row_begin);
  const std::int64_t x_stride = StrideOr(args.x_row_stride, w.k());
  const X* rows[kBlockRows] = {};
  for (std::int64_t i = 0; i < m; ++i) rows[i] = args.x.As<const X>() + (row_begin + i) * x_stride;
  HWY_ALIGN float acc[kBlockRows * kGroupOutputs];
  MultiplyGroup(w, group, rows, m, acc);
  StoreBlock<Y>(args, group, row_begin, m, acc);
}

void Int8LinearRows(const LinearArgs& args, const Int8Rows& x, std::int64_t group,
                    std::int64_t row_begin) {
  const std::int64_t m = std::min(kBlockRows, args.x.dim(0) - row_begin);
  std::int64_t rows[kBlockRows];
  std::iota(rows, rows + m, row_begin);
  HWY_ALIGN float acc[kBlockRows * kGroupOutputs];
  MultiplyInt8Group(*args.weight, group, x, rows, m, acc);
  if (args.y.dtype == base::DType::kF32) return StoreBlock<float>(args, group, row_begin, m, acc);
  StoreBlock<std::uint16_t>(args, group, row_begin, m, acc);
}

void LinearRows(const LinearArgs& args, std::int64_t group, std::int64_t row_begin) {
  const bool x_f32 = args.x.dtype == base::DType::kF32;
  const bool y_f32 = args.y.dtype == base::DType::kF32;
  if (x_f32 && y_f32) return LinearBlockAs<float, float>(args, group, row_begin);
  if (x_f32) return LinearBlockAs<float, std::uint16_t>(args, group, row_begin);
  if (y_f32) return LinearBlockAs<std::uint16_t, float>(args, group, row_begin);
  return LinearBlockAs<std::uint16_t, std::uint16_t>(args, group, row_begin);
}

void LinearAll(const LinearArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  const std::int64_t groups = (args.weight->panels() + kGroupPanels - 1) / kGroupPanels;
  const std::int64_t blocks = (args.x.dim(0) + kBlockRows - 1) / kBlockRows;
  if (args.weight->storage() == base::DType::kI8) {
    const Int8Rows x(workspace.data, args.x.dim(0), args.weight->k());
    QuantizeRows(args.x, StrideOr(args.x_row_stride, args.weight->k()), x, pool);
    pool.ParallelFor(groups * blocks, [&](std::int64_t item) HWY_ATTR {
      Int8LinearRows(args, x, item / blocks, item % blocks * kBlockRows);
    });
    return;
  }
  // Blocks of one group run side by side, while its weights are in the shared cache.
  pool.ParallelFor(groups * blocks, [&](std::int64_t item) HWY_ATTR {
    LinearRows(args, item / blocks, item % blocks * kBlockRows);
  });
}

bool TilesReadCoded() { return kTilesReadCoded; }

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(LinearAll);
HWY_EXPORT(TilesReadCoded);

void cpu::Run(const LinearArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  HWY_DYNAMIC_DISPATCH(LinearAll)(args, workspace, pool);
}

bool bf16_code::IsFaster() { return HWY_DYNAMIC_DISPATCH(TilesReadCoded)(); }

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
