#include <cstdint>
#include <cstring>

#include "kernels/backends.h"
#include "kernels/reference.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/elementwise-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

template <class X, class Y>
HWY_INLINE void CastRowsAs(const CastArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.x.dim(1);
  const std::int64_t x_stride = StrideOr(args.x_row_stride, n);
  const std::int64_t y_stride = StrideOr(args.y_row_stride, n);
  for (std::int64_t row = begin; row < end; ++row) {
    const X* x = args.x.As<const X>() + row * x_stride;
    Y* y = args.y.As<Y>() + row * y_stride;
    ForEachLane(
        n, [&](std::int64_t i) HWY_ATTR { StoreAs(LoadAs(x + i), y + i); },
        [&](std::int64_t i) HWY_ATTR { StoreScalar(ToFloat(x[i]), y + i); });
  }
}

void CastRows(const CastArgs& args, std::int64_t begin, std::int64_t end) {
  const bool x_f32 = args.x.dtype == base::DType::kF32;
  const bool y_f32 = args.y.dtype == base::DType::kF32;
  if (x_f32 && y_f32) return CastRowsAs<float, float>(args, begin, end);
  if (x_f32) return CastRowsAs<float, std::uint16_t>(args, begin, end);
  if (y_f32) return CastRowsAs<std::uint16_t, float>(args, begin, end);
  return CastRowsAs<std::uint16_t, std::uint16_t>(args, begin, end);
}

void AddRows(const AddArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.y.dim(1);
  const float* a = args.a.As<const float>() + begin * n;
  const float* b = args.b.As<const float>() + begin * n;
  float* y = args.y.As<float>() + begin * n;
  ForEachLane((end - begin) * n,
              [=](std::int64_t i)
                  HWY_ATTR { StoreF32(hn::Add(LoadF32(a + i), LoadF32(b + i)), y + i); },
              [=](std::int64_t i) HWY_ATTR { y[i] = a[i] + b[i]; });
}

void SiluMulRows(const SiluMulArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.y.dim(1);
  for (std::int64_t row = begin; row < end; ++row) {
    const float* gate_up = args.gate_up.As<const float>() + row * 2 * n;
    if (args.y.dtype == base::DType::kF32) {
      SiluMulRow(gate_up, n, args.y.As<float>() + row * n);
    } else {
      SiluMulRow(gate_up, n, args.y.As<std::uint16_t>() + row * n);
    }
  }
}

void CombineRows(const CombineArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.y.dim(1);
  const auto* offsets = args.slot_offsets.As<const std::int32_t>();
  const bool has_shared = args.shared.data != nullptr;
  for (std::int64_t token = begin; token < end; ++token) {
    const float* residual = args.residual.As<const float>() + token * n;
    const float* shared = has_shared ? args.shared.As<const float>() + token * n : nullptr;
    const float* slots = args.slots.As<const float>() + offsets[token] * n;
    const std::int64_t count = offsets[token + 1] - offsets[token];
    float* y = args.y.As<float>() + token * n;
    ForEachLane(
        n,
        [=](std::int64_t i) HWY_ATTR {
          VF sum = LoadF32(residual + i);
          if (shared != nullptr) sum = hn::Add(sum, LoadF32(shared + i));
          for (std::int64_t s = 0; s < count; ++s) sum = hn::Add(sum, LoadF32(slots + s * n + i));
          StoreF32(sum, y + i);
        },
        [=](std::int64_t i) HWY_ATTR {
          float sum = residual[i];
          if (shared != nullptr) sum += shared[i];
          for (std::int64_t s = 0; s < count; ++s) sum += slots[s * n + i];
          y[i] = sum;
        });
  }
}

/// Table rows may start at any byte, so bf16 goes through a small aligned piece.
void EmbeddingRows(const EmbeddingArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.table.dim(1);
  for (std::int64_t token = begin; token < end; ++token) {
    const std::int64_t id = args.ids.As<const std::int32_t>()[token];
    float* y = args.y.As<float>() + token * n;
    const char* row = args.table.As<const char>() + id * n * base::DTypeBytes(args.table.dtype);
    if (args.table.dtype == base::DType::kF32) {
      std::memcpy(y, row, n * sizeof(float));
    } else if (args.table.dtype == base::DType::kBF16) {
      for (std::int64_t i = 0; i < n; i += kLanes16) {
        HWY_ALIGN std::uint16_t piece[kLanes16];
        const std::int64_t count = std::min<std::int64_t>(kLanes16, n - i);
        std::memcpy(piece, row + i * sizeof(std::uint16_t), count * sizeof(std::uint16_t));
        for (std::int64_t j = 0; j < count; ++j) y[i + j] = base::BF16ToF32(piece[j]);
      }
    } else {
      for (std::int64_t i = 0; i < n; ++i) y[i] = reference::Load(args.table, id * n + i);
    }
  }
}

void ClipRows(const ClipArgs& args, std::int64_t begin, std::int64_t end) {
  const std::int64_t n = args.y.dim(1);
  const float* x = args.x.As<const float>() + begin * n;
  float* y = args.y.As<float>() + begin * n;
  const float limit = args.limit;
  ForEachLane((end - begin) * n,
              [=](std::int64_t i) HWY_ATTR {
                const VF high = hn::Set(DF(), limit);
                const VF low = hn::Set(DF(), -limit);
                VF v = LoadF32(x + i);
                v = hn::IfThenElse(hn::Gt(v, high), high, v);
                StoreF32(hn::IfThenElse(hn::Lt(v, low), low, v), y + i);
              },
              [=](std::int64_t i) HWY_ATTR {
                y[i] = x[i] > limit ? limit : x[i] < -limit ? -limit : x[i];
              });
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(CastRows);
HWY_EXPORT(AddRows);
HWY_EXPORT(SiluMulRows);
HWY_EXPORT(CombineRows);
HWY_EXPORT(EmbeddingRows);
HWY_EXPORT(ClipRows);

namespace {

/// Runs rows(args, begin, end) over the rows of args.y.
template <class Args>
void OverRows(const Args& args, base::ComputePool& pool,
              void (*rows)(const Args&, std::int64_t, std::int64_t)) {
  ParallelRows(pool, args.y.dim(0), args.y.dim(1),
               [&](std::int64_t begin, std::int64_t end) { rows(args, begin, end); });
}

}  // namespace

void cpu::Run(const CastArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(CastRows));
}
void cpu::Run(const AddArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(AddRows));
}
void cpu::Run(const SiluMulArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(SiluMulRows));
}
void cpu::Run(const CombineArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(CombineRows));
}
void cpu::Run(const EmbeddingArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(EmbeddingRows));
}
void cpu::Run(const ClipArgs& args, base::ComputePool& pool) {
  OverRows(args, pool, HWY_DYNAMIC_DISPATCH(ClipRows));
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
