#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "base/tensor.h"
#include "model/config.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// Activations of a step, a row per position: memory for the widest use of each row, of which a
/// micro-batch sees its own rows only. Movable.
class RowBuffer {
 public:
  RowBuffer() = default;
  /// Errors: ResourceExhausted naming the size.
  static absl::StatusOr<RowBuffer> Create(base::DType dtype, std::int64_t rows, std::int64_t width);

  /// [batch.rows, width], contiguous. Requires: width is within that of the buffer.
  base::TensorView Of(const MicroBatch& batch, std::int64_t width) const;
  /// [batch.rows, width of the buffer].
  base::TensorView Of(const MicroBatch& batch) const { return Of(batch, width_); }
  /// [rows, width of the buffer], the first rows of the step.
  base::TensorView All(std::int64_t rows) const;
  std::size_t bytes() const { return memory_.bytes(); }

 private:
  base::Buffer memory_;
  base::DType dtype_ = base::DType::kF32;
  std::int64_t width_ = 0;
};

/// All activation memory of the engine, allocated once for the largest step. "compute" is the
/// engine's compute dtype.
struct StepBuffers {
  RowBuffer residual;       ///< f32 [hidden]
  RowBuffer normed;         ///< f32 [hidden], after a norm; not allocated when compute is f32
  RowBuffer input;          ///< compute [hidden], what the matrices of a block read
  RowBuffer fused;          ///< f32, output of stacked matrices: q|k|v, q_a|kv_a, gate|up
  RowBuffer query;          ///< f32 [heads * head_dim]
  RowBuffer key;            ///< compute [kv_heads * head_dim], or [kv_lora + rope]
  RowBuffer value;          ///< compute [kv_heads * head_dim] (GQA)
  RowBuffer inner;          ///< compute, input of a block's last matrix
  RowBuffer delta;          ///< f32 [hidden], what a block adds to the residual stream
  RowBuffer gate_logits;    ///< f32 [experts]
  RowBuffer expert_ids;     ///< i32 [top_k], ascending
  RowBuffer gate_weights;   ///< f32 [top_k]
  RowBuffer ids_by_weight;  ///< i32 [top_k]
  RowBuffer forced_ids;     ///< i32 [top_k]
  RowBuffer invalid;        ///< u8 [1]
  RowBuffer slots;          ///< f32 [top_k * hidden], expert results
  base::Buffer workspace;   ///< Of one op at a time: they follow one another on the stream.

  /// Everything but the workspace. Errors: ResourceExhausted naming the size.
  static absl::StatusOr<StepBuffers> Create(const model::ModelConfig& config,
                                            base::DType compute_dtype, std::int64_t rows);
  base::TensorView WorkspaceView() const;
};

}  // namespace moesaic::router
