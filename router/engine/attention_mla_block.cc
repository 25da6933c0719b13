#include "router/engine/attention_mla_block.h"

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"
#include "router/engine/attention_gqa_block.h"

namespace moesaic::router {
namespace {

kernels::RopeArgs RopeOf(const EngineContext& context, const MicroBatch& batch) {
  kernels::RopeArgs args;
  args.positions = HostVector(batch.positions);
  args.table = &context.rope;
  args.pairing = RopePairingOf(context.config);
  return args;
}

/// q = q_b(norm(q_a x)), or the columns of `fused` that hold q where the model has no q_lora, into
/// buffers.query.
absl::Status LaunchQueryProjection(const EngineContext& context, const MlaWeights& weights,
                                   const base::TensorView& fused, const MicroBatch& batch,
                                   base::Stream& stream) {
  const model::AttentionConfig& attention = context.config.attention;
  const base::TensorView query = context.buffers.query.Of(batch);
  if (attention.q_lora_rank == 0) {
    return kernels::Launch(kernels::CastArgs{.x = Columns(fused, 0, {attention.QueryDim()}),
                                             .y = query,
                                             .x_row_stride = fused.dim(1)},
                           stream);
  }
  const base::TensorView normed = context.buffers.inner.Of(batch, attention.q_lora_rank);
  MOESAIC_RETURN_IF_ERROR(
      kernels::Launch(kernels::RmsNormArgs{.x = Columns(fused, 0, {attention.q_lora_rank}),
                                           .weight = weights.q_a_norm.view,
                                           .y = normed,
                                           .eps = attention.mla_norm_eps,
                                           .x_row_stride = fused.dim(1)},
                      {}, stream));
  return kernels::Launch(kernels::LinearArgs{.x = normed, .weight = &weights.q_b, .y = query},
                         context.buffers.WorkspaceView(), stream);
}

/// Rotates the rotary part of every head of buffers.query in place.
absl::Status LaunchQueryRope(const EngineContext& context, const MicroBatch& batch,
                             base::Stream& stream) {
  const model::AttentionConfig& attention = context.config.attention;
  const base::TensorView query = context.buffers.query.Of(batch);
  kernels::RopeArgs rope = RopeOf(context, batch);
  rope.x = rope.y =
      Columns(query, attention.qk_nope_head_dim, {attention.num_heads, attention.qk_rope_head_dim});
  rope.x_row_stride = rope.y_row_stride = query.dim(1);
  rope.x_head_stride = rope.y_head_stride = attention.head_dim;
  return kernels::Launch(rope, {}, stream);
}

/// The cache rows [norm(c) | roped k_rope] from the columns of kv_a on, into buffers.key.
absl::Status LaunchLatent(const EngineContext& context, const MlaWeights& weights,
                          const base::TensorView& fused, std::int64_t first_column,
                          const MicroBatch& batch, base::Stream& stream) {
  const model::AttentionConfig& attention = context.config.attention;
  const std::int64_t lora = attention.kv_lora_rank;
  const base::TensorView latent = context.buffers.key.Of(batch);
  MOESAIC_RETURN_IF_ERROR(
      kernels::Launch(kernels::RmsNormArgs{.x = Columns(fused, first_column, {lora}),
                                           .weight = weights.kv_a_norm.view,
                                           .y = Columns(latent, 0, {lora}),
                                           .eps = attention.mla_norm_eps,
                                           .x_row_stride = fused.dim(1),
                                           .y_row_stride = latent.dim(1)},
                      {}, stream));
  kernels::RopeArgs rope = RopeOf(context, batch);
  rope.x = Columns(fused, first_column + lora, {1, attention.qk_rope_head_dim});
  rope.y = Columns(latent, lora, {1, attention.qk_rope_head_dim});
  rope.x_row_stride = fused.dim(1);
  rope.y_row_stride = latent.dim(1);
  return kernels::Launch(rope, {}, stream);
}

}  // namespace

kernels::AttentionMlaArgs MlaAttentionArgs(const EngineContext& context, std::size_t layer,
                                           const MlaWeights& weights, const MicroBatch& batch) {
  const model::AttentionConfig& attention = context.config.attention;
  return {.shape = {.heads = attention.num_heads,
                    .kv_lora = attention.kv_lora_rank,
                    .nope = attention.qk_nope_head_dim,
                    .rope = attention.qk_rope_head_dim,
                    .v_dim = attention.v_head_dim},
          .query = context.buffers.query.Of(batch),
          .cache = context.kv.keys(layer),
          .kv_b = weights.kv_b.view,
          .kv_b_scales = weights.kv_b_scales.view,
          .batch = AttentionBatch(batch),
          .prompt_lengths = HostVector(batch.prompt_lengths),
          .scale = static_cast<float>(attention.softmax_scale),
          .out = context.buffers.inner.Of(batch, attention.OutputDim()),
          .parallelism = context.parallelism};
}

absl::Status LaunchMlaAttention(const EngineContext& context, std::size_t layer,
                                const MlaWeights& weights, const MicroBatch& batch,
                                base::Stream& stream) {
  const StepBuffers& buffers = context.buffers;
  const base::TensorView fused = buffers.fused.Of(batch, weights.a.n());
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::LinearArgs{.x = buffers.input.Of(batch), .weight = &weights.a, .y = fused},
      buffers.WorkspaceView(), stream));
  const base::TensorView latent = buffers.key.Of(batch);
  MOESAIC_RETURN_IF_ERROR(
      LaunchLatent(context, weights, fused, fused.dim(1) - latent.dim(1), batch, stream));
  MOESAIC_RETURN_IF_ERROR(LaunchQueryProjection(context, weights, fused, batch, stream));
  MOESAIC_RETURN_IF_ERROR(LaunchQueryRope(context, batch, stream));
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::KvWriteArgs{
          .rows = latent, .slots = HostVector(batch.kv_slots), .cache = context.kv.keys(layer)},
      {}, stream));
  return kernels::Launch(MlaAttentionArgs(context, layer, weights, batch), buffers.WorkspaceView(),
                         stream);
}

}  // namespace moesaic::router
