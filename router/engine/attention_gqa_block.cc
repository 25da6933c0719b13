#include "router/engine/attention_gqa_block.h"

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"

namespace moesaic::router {
namespace {

/// Normalises the columns [first, first + heads * head_dim) of the fused q|k|v rows in place.
absl::Status LaunchQkNorm(const EngineContext& context, const base::TensorView& fused,
                          std::int64_t first, std::int64_t heads, const OwnedTensor& weight,
                          base::Stream& stream) {
  const model::AttentionConfig& attention = context.config.attention;
  base::TensorView x;
  switch (attention.qk_norm) {
    case model::QkNorm::kNone:
      return absl::OkStatus();
    case model::QkNorm::kPerHead:
      x = Columns(fused, first, {heads, attention.head_dim});
      break;
    case model::QkNorm::kFullProjection:
      x = Columns(fused, first, {heads * attention.head_dim});
      break;
  }
  return kernels::Launch(kernels::RmsNormArgs{.x = x,
                                              .weight = weight.view,
                                              .y = x,
                                              .eps = context.config.rms_norm_eps,
                                              .x_row_stride = fused.dim(1),
                                              .y_row_stride = fused.dim(1)},
                         {}, stream);
}

/// Rotates the heads at columns [first, …) of the fused rows into `out`, rounding once.
absl::Status LaunchRope(const EngineContext& context, const base::TensorView& fused,
                        std::int64_t first, std::int64_t heads, const base::TensorView& out,
                        const MicroBatch& batch, base::Stream& stream) {
  const std::int64_t head_dim = context.config.attention.head_dim;
  return kernels::Launch(kernels::RopeArgs{.x = Columns(fused, first, {heads, head_dim}),
                                           .y = SplitColumns(out, heads, head_dim),
                                           .positions = HostVector(batch.positions),
                                           .table = &context.rope,
                                           .pairing = RopePairingOf(context.config),
                                           .x_row_stride = fused.dim(1)},
                         {}, stream);
}

absl::Status LaunchKvWrite(const base::TensorView& rows, const kernels::PagedKvView& cache,
                           const MicroBatch& batch, base::Stream& stream) {
  return kernels::Launch(
      kernels::KvWriteArgs{.rows = rows, .slots = HostVector(batch.kv_slots), .cache = cache}, {},
      stream);
}

}  // namespace

kernels::RopePairing RopePairingOf(const model::ModelConfig& config) {
  return config.rope.layout == model::RopeLayout::kInterleaved ? kernels::RopePairing::kInterleaved
                                                               : kernels::RopePairing::kHalfSplit;
}

kernels::PagedBatch AttentionBatch(const MicroBatch& batch) {
  return {.row_offsets = HostVector(batch.row_offsets),
          .first_positions = HostVector(batch.first_positions),
          .block_tables =
              base::TensorView::Host(batch.block_tables.data(), {batch.slices, batch.max_blocks})};
}

kernels::AttentionGqaArgs GqaAttentionArgs(const EngineContext& context, std::size_t layer,
                                           const MicroBatch& batch) {
  const model::AttentionConfig& attention = context.config.attention;
  return {.query = context.buffers.query.Of(batch),
          .keys = context.kv.keys(layer),
          .values = context.kv.values(layer),
          .batch = AttentionBatch(batch),
          .heads = attention.num_heads,
          .kv_heads = attention.num_kv_heads,
          .scale = static_cast<float>(attention.softmax_scale),
          .out = context.buffers.inner.Of(batch, attention.OutputDim()),
          .parallelism = context.parallelism};
}

absl::Status LaunchGqaAttention(const EngineContext& context, std::size_t layer,
                                const GqaWeights& weights, const MicroBatch& batch,
                                base::Stream& stream) {
  const model::AttentionConfig& attention = context.config.attention;
  const StepBuffers& buffers = context.buffers;
  const std::int64_t q_dim = attention.QueryDim();
  const std::int64_t kv_dim = attention.KvDim();
  const base::TensorView fused = buffers.fused.Of(batch, q_dim + 2 * kv_dim);
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::LinearArgs{.x = buffers.input.Of(batch), .weight = &weights.qkv, .y = fused},
      buffers.WorkspaceView(), stream));
  MOESAIC_RETURN_IF_ERROR(
      LaunchQkNorm(context, fused, 0, attention.num_heads, weights.q_norm, stream));
  MOESAIC_RETURN_IF_ERROR(
      LaunchQkNorm(context, fused, q_dim, attention.num_kv_heads, weights.k_norm, stream));
  if (attention.clip_qkv) {
    MOESAIC_RETURN_IF_ERROR(kernels::Launch(
        kernels::ClipArgs{.x = fused, .y = fused, .limit = *attention.clip_qkv}, stream));
  }
  const base::TensorView key = buffers.key.Of(batch);
  const base::TensorView value = buffers.value.Of(batch);
  MOESAIC_RETURN_IF_ERROR(
      LaunchRope(context, fused, 0, attention.num_heads, buffers.query.Of(batch), batch, stream));
  MOESAIC_RETURN_IF_ERROR(
      LaunchRope(context, fused, q_dim, attention.num_kv_heads, key, batch, stream));
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::CastArgs{
          .x = Columns(fused, q_dim + kv_dim, {kv_dim}), .y = value, .x_row_stride = fused.dim(1)},
      stream));
  MOESAIC_RETURN_IF_ERROR(LaunchKvWrite(key, context.kv.keys(layer), batch, stream));
  MOESAIC_RETURN_IF_ERROR(LaunchKvWrite(value, context.kv.values(layer), batch, stream));
  return kernels::Launch(GqaAttentionArgs(context, layer, batch), buffers.WorkspaceView(), stream);
}

}  // namespace moesaic::router
