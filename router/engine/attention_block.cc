#include "router/engine/attention_block.h"

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "router/engine/attention_gqa_block.h"
#include "router/engine/attention_mla_block.h"

namespace moesaic::router {

absl::Status LaunchAttention(const EngineContext& context, std::size_t layer,
                             const MicroBatch& batch, base::Stream& stream) {
  const DenseLayer& weights = context.weights.layers[layer];
  const StepBuffers& buffers = context.buffers;
  const base::TensorView residual = buffers.residual.Of(batch);
  MOESAIC_RETURN_IF_ERROR(
      kernels::Launch(kernels::RmsNormArgs{.x = residual,
                                           .weight = weights.attention_norm.view,
                                           .y = buffers.input.Of(batch),
                                           .eps = context.config.rms_norm_eps},
                      {}, stream));
  const kernels::PackedMatrix* output_projection = nullptr;
  if (const auto* mla = std::get_if<MlaWeights>(&weights.attention)) {
    MOESAIC_RETURN_IF_ERROR(LaunchMlaAttention(context, layer, *mla, batch, stream));
    output_projection = &mla->o;
  } else {
    const auto& gqa = std::get<GqaWeights>(weights.attention);
    MOESAIC_RETURN_IF_ERROR(LaunchGqaAttention(context, layer, gqa, batch, stream));
    output_projection = &gqa.o;
  }
  const base::TensorView delta = buffers.delta.Of(batch);
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::LinearArgs{.x = buffers.inner.Of(batch, context.config.attention.OutputDim()),
                          .weight = output_projection,
                          .y = delta},
      buffers.WorkspaceView(), stream));
  return kernels::Launch(kernels::AddArgs{.a = residual, .b = delta, .y = residual}, stream);
}

std::size_t AttentionWorkspaceBytes(const EngineContext& context, const MicroBatch& batch) {
  const auto& attention = context.weights.layers.front().attention;
  if (const auto* mla = std::get_if<MlaWeights>(&attention)) {
    return kernels::WorkspaceBytes(MlaAttentionArgs(context, 0, *mla, batch));
  }
  return kernels::WorkspaceBytes(GqaAttentionArgs(context, 0, batch));
}

}  // namespace moesaic::router
