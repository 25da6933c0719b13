#pragma once

#include "absl/status/status.h"
#include "base/stream.h"
#include "router/engine/engine_context.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// Launches down(silu(gate x) * up x) from buffers.input to buffers.delta; uses buffers.fused and
/// buffers.inner. For dense layers and for shared experts.
absl::Status LaunchGatedMlp(const EngineContext& context, const GatedMlpWeights& weights,
                            const MicroBatch& batch, base::Stream& stream);

/// Launches the MLP of a layer without routed experts: norm, gated MLP, addition to the residual
/// stream.
absl::Status LaunchDenseMlp(const EngineContext& context, const DenseLayer& layer,
                            const MicroBatch& batch, base::Stream& stream);

}  // namespace moesaic::router
