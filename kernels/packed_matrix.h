#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/compute_pool.h"
#include "base/tensor.h"
#include "kernels/bf16_code.h"

namespace moesaic::kernels {

/// A checkpoint tensor, or some of its rows, on its way into a PackedMatrix. Borrowed.
struct WeightSource {
  /// [rows, columns] f32, bf16, f16 or fp8, host memory. Any alignment (a memory map has none).
  base::TensorView weight = {};
  /// fp8 only, required there: [ceil(rows / 128), ceil(columns / 128)] f32 or bf16; an element is
  /// fp8 * scale (a multiplication, whatever the tensor's name says). Any alignment.
  std::optional<base::TensorView> scale = std::nullopt;
  /// The rows [row_begin, row_begin + rows) are taken; rows < 0 takes all from row_begin on.
  std::int64_t row_begin = 0;
  std::int64_t rows = -1;
  /// Packs the transpose of what was taken: its columns become outputs.
  bool transposed = false;
};

/// An owned weight matrix W [n, k] laid out for `Linear`: panels of 16 outputs, each panel
/// [k][16] (zero padded in n), so that lanes run along n and memory is read once, in order.
///
/// Storage f32 or bf16: elements, or bf16 in 12 bits (coded(), kernels/bf16_code.h). Storage fp8:
/// e4m3 bytes, and f32 scales [panel][ceil(k/128)][16] (one per output and block of 128 inputs, so
/// that sources may start at any row). Storage i8: each output's blocks of 128 inputs as
/// kernels/int8.h quantises them, scales as for fp8, values plus 128 as unsigned bytes in panels
/// [ceil(k/4)][16][4] (what dot-product instructions take). Immutable after Pack, movable;
/// thread-safe.
class PackedMatrix {
 public:
  /// Outputs of a panel: one AVX-512 vector of f32.
  static constexpr std::int64_t kPanel = 16;
  /// Inputs that share an fp8 scale, as in the checkpoints, or an i8 scale.
  static constexpr std::int64_t kScaleBlock = 128;

  /// How bf16 storage is laid out; kFaster codes where bf16_code::IsFaster().
  enum class Bf16Layout { kFaster, kPlain, kCoded };

  PackedMatrix() = default;

  /// What bytes() of a packed [n, k] matrix is: of a coded one, at most.
  static std::size_t BytesOf(std::int64_t n, std::int64_t k, base::DType storage);
  /// The sizes of its parts().
  static std::array<std::size_t, 2> PartBytes(std::int64_t n, std::int64_t k, base::DType storage,
                                              bool coded);

  /// Packs `sources` stacked along n (gate above up, q above k above v …); all have the same k.
  /// Storage f32, bf16 (rounding once to nearest even) and i8 take every source type; fp8 takes fp8
  /// only. `pool`, if given, shares the work. bf16 is plain on a device, where n is no multiple of
  /// 16 or k none of 8, and where weights have too many upper bytes to be coded.
  /// Errors: InvalidArgument on shapes, types, a missing scale or a row range outside the tensor,
  /// and for a transposed fp8 source whose row_begin is no multiple of 128; DataLoss for i8 storage
  /// of an element that is not finite;
  /// ResourceExhausted; Unimplemented for a device this build lacks.
  static absl::StatusOr<PackedMatrix> Pack(absl::Span<const WeightSource> sources,
                                           base::DType storage, base::Device device = {},
                                           base::ComputePool* pool = nullptr,
                                           Bf16Layout layout = Bf16Layout::kFaster);

  /// Its memory, for a copy on disk: weights, and what is beside them (scales, or what coded
  /// weights share; empty where there is nothing).
  using Parts = std::array<absl::Span<std::byte>, 2>;
  std::array<absl::Span<const std::byte>, 2> parts() const;
  /// The matrix [n, k] of host memory whose parts() `fill` writes: as they were of one of the same
  /// shape, storage and layout in this kernel contract version. Errors: those of Pack for the
  /// storage, InvalidArgument for a matrix that has no coded form, and those of `fill`.
  static absl::StatusOr<PackedMatrix> Restore(std::int64_t n, std::int64_t k, base::DType storage,
                                              bool coded,
                                              absl::FunctionRef<absl::Status(Parts)> fill);

  std::int64_t n() const { return n_; }
  std::int64_t k() const { return k_; }
  std::int64_t panels() const { return (n_ + kPanel - 1) / kPanel; }
  std::int64_t scale_blocks() const { return (k_ + kScaleBlock - 1) / kScaleBlock; }
  base::DType storage() const { return storage_; }
  /// Whether bf16 storage is coded.
  bool coded() const { return coded_; }
  base::Device device() const { return data_.device(); }
  /// Memory held.
  std::size_t bytes() const { return data_.bytes() + beside_.bytes(); }

  /// [panels][k][16] of the storage type; i8: [panels][ceil(k/4)][16][4]; coded: [panels][k/8]
  /// records.
  const void* data() const { return data_.data(); }
  /// fp8 and i8 only: [panels][scale_blocks][16].
  const float* scales() const { return coded_ ? nullptr : beside_.As<float>(); }
  /// Coded only.
  bf16_code::Side code() const { return bf16_code::SideOf(beside_.data()); }

 private:
  /// [n, k] of zeros.
  static absl::StatusOr<PackedMatrix> Allocate(std::int64_t n, std::int64_t k, base::DType storage,
                                               bool coded);

  std::int64_t n_ = 0;
  std::int64_t k_ = 0;
  base::DType storage_ = base::DType::kF32;
  bool coded_ = false;
  base::Buffer data_;
  base::Buffer beside_;
};

}  // namespace moesaic::kernels
