#include <algorithm>
#include <cstdint>

#include "base/status_macros.h"
#include "kernels/backends.h"
#include "kernels/cuda_error.h"
#include "kernels/cuda_math.cuh"
#include "kernels/expert_ffn_plan.h"

namespace moesaic::kernels::cuda {
namespace {

/// Up to kTileRows entries of one expert.
struct Tile {
  MatrixView gate_up;
  MatrixView down;
  std::int64_t first_entry;  // among all entries: their rows of gate_up and h
  int count;
  ExpertEntry entries[kTileRows];
};

/// Tiles travel as a kernel parameter, so that a launch neither copies nor waits; 4 KiB is what
/// every architecture passes.
constexpr int kTilesPerLaunch = 16;
struct Batch {
  int count;
  Tile tiles[kTilesPerLaunch];
};
static_assert(sizeof(Batch) <= 4000);

/// Block (b, t): columns [128 b, …) of gate|up of the entries of tile t.
template <class W, class X>
__global__ void GateUpKernel(Batch batch, const X* x, std::int64_t hidden, float* gate_up) {
  __shared__ float stage[kTileRows][kStage];
  const Tile& tile = batch.tiles[blockIdx.y];
  const std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  const X* rows[kTileRows];
  for (int r = 0; r < tile.count; ++r) rows[r] = x + tile.entries[r].row * hidden;
  float acc[kTileRows];
  MultiplyColumn<W>(tile.gate_up, n, rows, tile.count, stage, acc);
  if (n >= tile.gate_up.n) return;
  for (int r = 0; r < tile.count; ++r) {
    gate_up[(tile.first_entry + r) * tile.gate_up.n + n] = acc[r];
  }
}

/// h[i] = silu(gate) * up for `count` consecutive entries.
template <class X>
__global__ void SiluMulKernel(const float* gate_up, std::int64_t count, std::int64_t inter, X* h) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= count * inter) return;
  const float* row = gate_up + i / inter * 2 * inter;
  StoreRounded(__fmul_rn(Silu(row[i % inter]), row[inter + i % inter]), h + i);
}

/// Block b: columns [128 b, …) of all tiles in order, so that a slot's sum is one thread's.
template <class W, class X>
__global__ void DownKernel(Batch batch, const X* h, std::int64_t hidden, float* y) {
  __shared__ float stage[kTileRows][kStage];
  const std::int64_t n = static_cast<std::int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  for (int t = 0; t < batch.count; ++t) {
    const Tile& tile = batch.tiles[t];
    const X* rows[kTileRows];
    for (int r = 0; r < tile.count; ++r) rows[r] = h + (tile.first_entry + r) * tile.down.k;
    float acc[kTileRows];
    MultiplyColumn<W>(tile.down, n, rows, tile.count, stage, acc);
    if (n >= hidden) continue;
    for (int r = 0; r < tile.count; ++r) {
      const ExpertEntry& entry = tile.entries[r];
      float* out = y + entry.slot * hidden + n;
      *out = entry.first ? __fmul_rn(entry.weight, acc[r]) : __fmaf_rn(entry.weight, acc[r], *out);
    }
  }
}

struct Shape {
  std::int64_t hidden;
  std::int64_t inter;
  base::DType gate_up_storage;
  base::DType down_storage;
};

/// Runs the tiles of a batch; tile entries are consecutive from `first_entry` on.
template <class X>
void RunBatch(const Batch& batch, const Shape& shape, const ExpertFfnArgs& args, float* gate_up,
              X* h, cudaStream_t stream) {
  const auto blocks = [](std::int64_t columns) {
    return static_cast<unsigned>((columns + kColumns - 1) / kColumns);
  };
  WithStorageType(shape.gate_up_storage, [&](const auto* storage) {
    using W = std::remove_const_t<std::remove_pointer_t<decltype(storage)>>;
    const dim3 grid(blocks(2 * shape.inter), static_cast<unsigned>(batch.count));
    GateUpKernel<W, X>
        <<<grid, kColumns, 0, stream>>>(batch, args.x.As<const X>(), shape.hidden, gate_up);
  });
  const std::int64_t first = batch.tiles[0].first_entry;
  const Tile& last = batch.tiles[batch.count - 1];
  const std::int64_t count = last.first_entry + last.count - first;
  SiluMulKernel<X><<<blocks(count * shape.inter), kColumns, 0, stream>>>(
      gate_up + first * 2 * shape.inter, count, shape.inter, h + first * shape.inter);
  WithStorageType(shape.down_storage, [&](const auto* storage) {
    using W = std::remove_const_t<std::remove_pointer_t<decltype(storage)>>;
    DownKernel<W, X>
        <<<blocks(shape.hidden), kColumns, 0, stream>>>(batch, h, shape.hidden, args.y.As<float>());
  });
}

template <class X>
void RunAll(const ExpertFfnArgs& args, base::TensorView workspace, cudaStream_t stream) {
  const std::int64_t inter = ExpertFfnInter(args);
  const ExpertFfnLayout layout(args.x.dim(0), args.x.dim(1), ExpertFfnEntries(args), inter);
  auto* gate_up = reinterpret_cast<float*>(workspace.As<char>() + layout.gate_up);
  auto* h = reinterpret_cast<X*>(workspace.As<char>() + layout.h);
  Shape shape = {args.x.dim(1), inter, {}, {}};
  Batch batch = {};
  const auto flush = [&] {
    if (batch.count > 0) RunBatch(batch, shape, args, gate_up, h, stream);
    batch.count = 0;
  };
  std::int64_t first_entry = 0;
  for (const ExpertGroup& group : args.groups) {
    const auto entries = static_cast<std::int64_t>(group.entries.size());
    // A batch's kernels are compiled for one storage of each matrix.
    if (group.gate_up->storage() != shape.gate_up_storage ||
        group.down->storage() != shape.down_storage) {
      flush();
      shape.gate_up_storage = group.gate_up->storage();
      shape.down_storage = group.down->storage();
    }
    for (std::int64_t begin = 0; begin < entries; begin += kTileRows) {
      Tile& tile = batch.tiles[batch.count++];
      tile.gate_up = ViewOf(*group.gate_up);
      tile.down = ViewOf(*group.down);
      tile.first_entry = first_entry + begin;
      tile.count = static_cast<int>(std::min<std::int64_t>(kTileRows, entries - begin));
      std::copy_n(group.entries.begin() + begin, tile.count, tile.entries);
      if (batch.count == kTilesPerLaunch) flush();
    }
    first_entry += entries;
  }
  flush();
}

}  // namespace

absl::Status Run(const ExpertFfnArgs& args, base::TensorView workspace, CudaStream& stream) {
  DeviceScope scope(stream.device().index);
  WithActivationType(args.x.dtype, [&](auto* x_type) {
    using X = std::remove_pointer_t<decltype(x_type)>;
    RunAll<X>(args, workspace, stream.handle());
  });
  return LaunchStatus("expert_ffn");
}

}  // namespace moesaic::kernels::cuda
