#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "base/stream.h"
#include "kernels/attention_gqa.h"
#include "kernels/rope.h"
#include "router/engine/engine_context.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// Which elements of a head RoPE pairs in this model.
kernels::RopePairing RopePairingOf(const model::ModelConfig& config);

/// The sequences of a micro-batch as attention ops take them. Borrows `batch`.
kernels::PagedBatch AttentionBatch(const MicroBatch& batch);

/// Arguments of the attention op; reads buffers.query, writes buffers.inner.
kernels::AttentionGqaArgs GqaAttentionArgs(const EngineContext& context, std::size_t layer,
                                           const MicroBatch& batch);

/// From buffers.input to buffers.inner: q, k, v projections, QK norm (per head in Qwen3, over the
/// whole projection in OLMoE), OLMoE's clip, RoPE, cache write, attention.
absl::Status LaunchGqaAttention(const EngineContext& context, std::size_t layer,
                                const GqaWeights& weights, const MicroBatch& batch,
                                base::Stream& stream);

}  // namespace moesaic::router
