#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"

/// Ops whose outputs depend on a few elements each. Every CanRun answers InvalidArgument on shapes,
/// types or indices that do not fit, and Unimplemented on a device that this build has no kernel
/// for; every Launch enqueues and answers with CanRun's errors; none needs workspace. The
/// `…Reference` functions are the definitions as plain loops (host memory; Requires: CanRun).
namespace moesaic::kernels {

/// y = x, rounded once to y's type.
struct CastArgs {
  base::TensorView x = {};        ///< [rows, n] f32 or bf16.
  base::TensorView y = {};        ///< [rows, n] f32 or bf16; may be x itself when the types agree.
  std::int64_t x_row_stride = 0;  ///< Elements between rows; 0 means contiguous.
  std::int64_t y_row_stride = 0;
};

/// y = a + b.
struct AddArgs {
  base::TensorView a = {};  ///< [rows, n] f32.
  base::TensorView b = {};  ///< [rows, n] f32.
  base::TensorView y = {};  ///< [rows, n] f32; may be a or b.
};

/// y = silu(gate) * up: silu(g) = g * sigmoid(g) by kernels/simd_math.h, then one product, y
/// rounded once.
struct SiluMulArgs {
  base::TensorView gate_up = {};  ///< [rows, 2 n] f32: gate in the first n columns, up in the rest.
  base::TensorView y = {};        ///< [rows, n] f32 or bf16.
};

/// y[t] = ((residual[t] + shared[t]) + slots[o[t]]) + slots[o[t] + 1] + …, o = slot_offsets, in
/// f32, in this order.
struct CombineArgs {
  base::TensorView residual = {};  ///< [tokens, n] f32.
  base::TensorView shared = {};    ///< [tokens, n] f32, or data == nullptr for no shared expert.
  base::TensorView slots = {};     ///< [slots, n] f32.
  base::TensorView slot_offsets = {};  ///< [tokens + 1] i32, non-decreasing, within [0, slots].
  base::TensorView y = {};             ///< [tokens, n] f32; may be residual.
};

/// y[i] = table[ids[i]], widened.
struct EmbeddingArgs {
  base::TensorView table = {};  ///< [vocabulary, n] f32, bf16 or f16; any alignment.
  base::TensorView ids = {};    ///< [tokens] i32.
  base::TensorView y = {};      ///< [tokens, n] f32.
};

/// y = min(max(x, -limit), limit) (OLMoE's clip_qkv).
struct ClipArgs {
  base::TensorView x = {};  ///< [rows, n] f32.
  base::TensorView y = {};  ///< [rows, n] f32; may be x.
  float limit = 0;          ///< > 0.
};

absl::Status CanRun(const CastArgs& args);
absl::Status CanRun(const AddArgs& args);
absl::Status CanRun(const SiluMulArgs& args);
absl::Status CanRun(const CombineArgs& args);
absl::Status CanRun(const EmbeddingArgs& args);
absl::Status CanRun(const ClipArgs& args);

absl::Status Launch(const CastArgs& args, base::Stream& stream);
absl::Status Launch(const AddArgs& args, base::Stream& stream);
absl::Status Launch(const SiluMulArgs& args, base::Stream& stream);
absl::Status Launch(const CombineArgs& args, base::Stream& stream);
absl::Status Launch(const EmbeddingArgs& args, base::Stream& stream);
absl::Status Launch(const ClipArgs& args, base::Stream& stream);

void CastReference(const CastArgs& args);
void AddReference(const AddArgs& args);
void SiluMulReference(const SiluMulArgs& args);
void CombineReference(const CombineArgs& args);
void EmbeddingReference(const EmbeddingArgs& args);
void ClipReference(const ClipArgs& args);

}  // namespace moesaic::kernels
