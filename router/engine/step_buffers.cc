#include "router/engine/step_buffers.h"

#include <algorithm>

#include "base/check.h"
#include "base/status_macros.h"

namespace moesaic::router {

using base::DType;

absl::StatusOr<RowBuffer> RowBuffer::Create(DType dtype, std::int64_t rows, std::int64_t width) {
  RowBuffer buffer;
  buffer.dtype_ = dtype;
  buffer.width_ = width;
  MOESAIC_ASSIGN_OR_RETURN(buffer.memory_,
                           base::Buffer::Allocate(std::size_t(rows * width) * DTypeBytes(dtype)));
  return buffer;
}

base::TensorView RowBuffer::Of(const MicroBatch& batch, std::int64_t width) const {
  MOESAIC_CHECK(width <= width_);
  const std::size_t offset = std::size_t(batch.first_row) * width_ * DTypeBytes(dtype_);
  return memory_.View(dtype_, {batch.rows, width}, offset);
}

base::TensorView RowBuffer::All(std::int64_t rows) const {
  return memory_.View(dtype_, {rows, width_});
}

absl::StatusOr<StepBuffers> StepBuffers::Create(const model::ModelConfig& config,
                                                DType compute_dtype, std::int64_t rows) {
  const model::AttentionConfig& attention = config.attention;
  const bool mla = attention.kind == model::AttentionKind::kMla;
  const std::int64_t hidden = config.hidden_size;
  const std::int64_t top_k = config.moe.gating.top_k;
  const std::int64_t latent = attention.kv_lora_rank + attention.qk_rope_head_dim;
  const std::int64_t mla_query =
      attention.q_lora_rank > 0 ? attention.q_lora_rank : attention.QueryDim();
  const std::int64_t attention_fused =
      mla ? mla_query + latent : attention.QueryDim() + 2 * attention.KvDim();
  const std::int64_t mlp =
      std::max(config.dense_intermediate_size, config.moe.shared_intermediate_size);
  const std::int64_t inner =
      std::max({attention.OutputDim(), mlp, static_cast<std::int64_t>(attention.q_lora_rank)});

  StepBuffers buffers;
  const auto create = [rows](RowBuffer& buffer, DType dtype, std::int64_t width) -> absl::Status {
    MOESAIC_ASSIGN_OR_RETURN(buffer, RowBuffer::Create(dtype, rows, width));
    return absl::OkStatus();
  };
  MOESAIC_RETURN_IF_ERROR(create(buffers.residual, DType::kF32, hidden));
  if (compute_dtype != DType::kF32) {
    MOESAIC_RETURN_IF_ERROR(create(buffers.normed, DType::kF32, hidden));
  }
  MOESAIC_RETURN_IF_ERROR(create(buffers.input, compute_dtype, hidden));
  MOESAIC_RETURN_IF_ERROR(create(buffers.fused, DType::kF32, std::max(attention_fused, 2 * mlp)));
  MOESAIC_RETURN_IF_ERROR(create(buffers.query, DType::kF32, attention.QueryDim()));
  MOESAIC_RETURN_IF_ERROR(create(buffers.key, compute_dtype, mla ? latent : attention.KvDim()));
  if (!mla) MOESAIC_RETURN_IF_ERROR(create(buffers.value, compute_dtype, attention.KvDim()));
  MOESAIC_RETURN_IF_ERROR(create(buffers.inner, compute_dtype, inner));
  MOESAIC_RETURN_IF_ERROR(create(buffers.delta, DType::kF32, hidden));
  MOESAIC_RETURN_IF_ERROR(create(buffers.gate_logits, DType::kF32, config.moe.num_experts));
  MOESAIC_RETURN_IF_ERROR(create(buffers.expert_ids, DType::kI32, top_k));
  MOESAIC_RETURN_IF_ERROR(create(buffers.gate_weights, DType::kF32, top_k));
  MOESAIC_RETURN_IF_ERROR(create(buffers.ids_by_weight, DType::kI32, top_k));
  MOESAIC_RETURN_IF_ERROR(create(buffers.forced_ids, DType::kI32, top_k));
  MOESAIC_RETURN_IF_ERROR(create(buffers.invalid, DType::kU8, 1));
  MOESAIC_RETURN_IF_ERROR(create(buffers.slots, DType::kF32, top_k * hidden));
  return buffers;
}

base::TensorView StepBuffers::WorkspaceView() const {
  return workspace.View(DType::kU8, {static_cast<std::int64_t>(workspace.bytes())});
}

}  // namespace moesaic::router
