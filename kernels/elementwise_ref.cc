#include <cstdint>

#include "kernels/elementwise.h"
#include "kernels/reference.h"
#include "kernels/rows.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {

using reference::Load;
using reference::Store;

void CastReference(const CastArgs& args) {
  const std::int64_t n = args.x.dim(1);
  const std::int64_t x_stride = StrideOr(args.x_row_stride, n);
  const std::int64_t y_stride = StrideOr(args.y_row_stride, n);
  for (std::int64_t row = 0; row < args.x.dim(0); ++row) {
    for (std::int64_t i = 0; i < n; ++i) {
      Store(Load(args.x, row * x_stride + i), args.y, row * y_stride + i);
    }
  }
}

void AddReference(const AddArgs& args) {
  for (std::int64_t i = 0; i < args.y.elements(); ++i) {
    Store(Load(args.a, i) + Load(args.b, i), args.y, i);
  }
}

void SiluMulReference(const SiluMulArgs& args) {
  const std::int64_t n = args.y.dim(1);
  for (std::int64_t row = 0; row < args.y.dim(0); ++row) {
    for (std::int64_t i = 0; i < n; ++i) {
      const float gate = Load(args.gate_up, row * 2 * n + i);
      const float up = Load(args.gate_up, row * 2 * n + n + i);
      Store(Silu(gate) * up, args.y, row * n + i);
    }
  }
}

void CombineReference(const CombineArgs& args) {
  const std::int64_t n = args.residual.dim(1);
  const auto* offsets = args.slot_offsets.As<const std::int32_t>();
  for (std::int64_t token = 0; token < args.residual.dim(0); ++token) {
    for (std::int64_t i = 0; i < n; ++i) {
      float sum = Load(args.residual, token * n + i);
      if (args.shared.data != nullptr) sum += Load(args.shared, token * n + i);
      for (std::int64_t slot = offsets[token]; slot < offsets[token + 1]; ++slot) {
        sum += Load(args.slots, slot * n + i);
      }
      Store(sum, args.y, token * n + i);
    }
  }
}

void EmbeddingReference(const EmbeddingArgs& args) {
  const std::int64_t n = args.table.dim(1);
  for (std::int64_t token = 0; token < args.ids.dim(0); ++token) {
    const std::int64_t id = args.ids.As<const std::int32_t>()[token];
    for (std::int64_t i = 0; i < n; ++i) Store(Load(args.table, id * n + i), args.y, token * n + i);
  }
}

void ClipReference(const ClipArgs& args) {
  for (std::int64_t i = 0; i < args.y.elements(); ++i) {
    float value = Load(args.x, i);
    if (value > args.limit) value = args.limit;
    if (value < -args.limit) value = -args.limit;
    Store(value, args.y, i);
  }
}

}  // namespace moesaic::kernels
