#include "router/engine/mlp_block.h"

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"

namespace moesaic::router {

absl::Status LaunchGatedMlp(const EngineContext& context, const GatedMlpWeights& weights,
                            const MicroBatch& batch, base::Stream& stream) {
  const StepBuffers& buffers = context.buffers;
  const base::TensorView gate_up = buffers.fused.Of(batch, weights.gate_up.n());
  const base::TensorView inner = buffers.inner.Of(batch, weights.intermediate());
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::LinearArgs{.x = buffers.input.Of(batch), .weight = &weights.gate_up, .y = gate_up},
      buffers.WorkspaceView(), stream));
  MOESAIC_RETURN_IF_ERROR(
      kernels::Launch(kernels::SiluMulArgs{.gate_up = gate_up, .y = inner}, stream));
  return kernels::Launch(
      kernels::LinearArgs{.x = inner, .weight = &weights.down, .y = buffers.delta.Of(batch)},
      buffers.WorkspaceView(), stream);
}

absl::Status LaunchDenseMlp(const EngineContext& context, const DenseLayer& layer,
                            const MicroBatch& batch, base::Stream& stream) {
  const base::TensorView residual = context.buffers.residual.Of(batch);
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(kernels::RmsNormArgs{.x = residual,
                                                               .weight = layer.mlp_norm.view,
                                                               .y = context.buffers.input.Of(batch),
                                                               .eps = context.config.rms_norm_eps},
                                          {}, stream));
  MOESAIC_RETURN_IF_ERROR(LaunchGatedMlp(context, *layer.mlp, batch, stream));
  return kernels::Launch(
      kernels::AddArgs{.a = residual, .b = context.buffers.delta.Of(batch), .y = residual}, stream);
}

}  // namespace moesaic::router
