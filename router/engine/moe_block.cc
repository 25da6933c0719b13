#include "router/engine/moe_block.h"

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"

namespace moesaic::router {
namespace {

/// Normalises the residual stream for gate (f32, returned) and matrices (buffers.input).
absl::StatusOr<base::TensorView> LaunchMlpNorm(const EngineContext& context,
                                               const DenseLayer& layer, const MicroBatch& batch,
                                               base::Stream& stream) {
  const StepBuffers& buffers = context.buffers;
  const base::TensorView input = buffers.input.Of(batch);
  const bool round = context.compute_dtype != base::DType::kF32;
  const base::TensorView normed = round ? buffers.normed.Of(batch) : input;
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(kernels::RmsNormArgs{.x = buffers.residual.Of(batch),
                                                               .weight = layer.mlp_norm.view,
                                                               .y = normed,
                                                               .eps = context.config.rms_norm_eps},
                                          {}, stream));
  if (round) {
    MOESAIC_RETURN_IF_ERROR(kernels::Launch(kernels::CastArgs{.x = normed, .y = input}, stream));
  }
  return normed;
}

/// The micro-batch's share of the slots: room for top_k per row.
base::TensorView SlotsOf(const EngineContext& context, const MicroBatch& batch,
                         std::int64_t slots) {
  const base::TensorView room = context.buffers.slots.Of(batch);
  return base::TensorView(room.data, room.dtype, {slots, context.config.hidden_size}, room.device);
}

}  // namespace

kernels::GatingParams GatingParamsOf(const model::ModelConfig& config) {
  const model::GatingConfig& gating = config.moe.gating;
  return {
      .scoring = gating.scoring == model::ScoringFunc::kSigmoid ? kernels::GateScoring::kSigmoid
                                                                : kernels::GateScoring::kSoftmax,
      .experts = config.moe.num_experts,
      .top_k = gating.top_k,
      .groups = gating.num_groups,
      .topk_groups = gating.topk_groups,
      .group_score = gating.method == model::TopkMethod::kNoAuxTc ? kernels::GroupScore::kTop2Sum
                                                                  : kernels::GroupScore::kMax,
      .normalize = gating.renormalize,
      .normalize_epsilon = gating.renormalize_epsilon,
      .scale = gating.scale};
}

kernels::GatingArgs GatingArgsOf(const EngineContext& context, const GateWeights& weights,
                                 const MicroBatch& batch, bool forced) {
  const StepBuffers& buffers = context.buffers;
  const base::TensorView invalid = buffers.invalid.Of(batch);
  return {.params = GatingParamsOf(context.config),
          .logits = buffers.gate_logits.Of(batch),
          .correction_bias = weights.correction_bias.view,
          .forced_ids = forced ? buffers.forced_ids.Of(batch) : base::TensorView(),
          .expert_ids = buffers.expert_ids.Of(batch),
          .weights = buffers.gate_weights.Of(batch),
          .ids_by_weight = buffers.ids_by_weight.Of(batch),
          .invalid = base::TensorView(invalid.data, invalid.dtype, {batch.rows}, invalid.device)};
}

absl::Status LaunchGate(const EngineContext& context, const DenseLayer& layer,
                        const MicroBatch& batch, bool forced, base::Stream& stream) {
  MOESAIC_ASSIGN_OR_RETURN(const base::TensorView normed,
                           LaunchMlpNorm(context, layer, batch, stream));
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::LinearArgs{
          .x = normed, .weight = &layer.gate->weight, .y = context.buffers.gate_logits.Of(batch)},
      {}, stream));
  return kernels::Launch(GatingArgsOf(context, *layer.gate, batch, forced),
                         context.buffers.WorkspaceView(), stream);
}

void SlotOffsets(absl::Span<const std::int32_t> expert_ids, int top_k, int unit_size,
                 std::vector<std::int32_t>& offsets) {
  offsets.clear();
  offsets.reserve(expert_ids.size() / top_k + 1);
  offsets.push_back(0);
  for (std::size_t token = 0; token < expert_ids.size(); token += top_k) {
    std::int32_t slots = 0;
    std::int32_t last_unit = -1;
    for (const std::int32_t expert : expert_ids.subspan(token, top_k)) {
      if (expert < 0 || expert / unit_size == last_unit) continue;
      last_unit = expert / unit_size;
      ++slots;
    }
    offsets.push_back(offsets.back() + slots);
  }
}

ExpertCall MakeExpertCall(const EngineContext& context, base::LayerId layer,
                          const MicroBatch& batch, absl::Span<const std::int32_t> slot_offsets) {
  const StepBuffers& buffers = context.buffers;
  const int top_k = context.config.moe.gating.top_k;
  const std::size_t entries = std::size_t(batch.rows) * top_k;
  return {.layer = layer,
          .top_k = top_k,
          .hidden_size = context.config.hidden_size,
          .rows = buffers.input.Of(batch),
          .expert_ids = {buffers.expert_ids.Of(batch).As<std::int32_t>(), entries},
          .weights = {buffers.gate_weights.Of(batch).As<float>(), entries},
          .is_prefill = batch.is_prefill,
          .deadlines = batch.deadlines,
          .slot_offsets = slot_offsets,
          .slots = SlotsOf(context, batch, slot_offsets.back())};
}

absl::Status LaunchCombine(const EngineContext& context, bool has_shared, const MicroBatch& batch,
                           const std::vector<std::int32_t>& slot_offsets, base::Stream& stream) {
  const StepBuffers& buffers = context.buffers;
  const base::TensorView residual = buffers.residual.Of(batch);
  return kernels::Launch(
      kernels::CombineArgs{.residual = residual,
                           .shared = has_shared ? buffers.delta.Of(batch) : base::TensorView(),
                           .slots = SlotsOf(context, batch, slot_offsets.back()),
                           .slot_offsets = HostVector(slot_offsets),
                           .y = residual},
      stream);
}

}  // namespace moesaic::router
