#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "base/stream.h"
#include "kernels/attention_mla.h"
#include "router/engine/engine_context.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// Arguments of the attention op; reads buffers.query, writes buffers.inner.
kernels::AttentionMlaArgs MlaAttentionArgs(const EngineContext& context, std::size_t layer,
                                           const MlaWeights& weights, const MicroBatch& batch);

/// From buffers.input to buffers.inner: the low-rank projections with their norms, RoPE on the
/// rotary parts, cache write of [c | k_rope], attention.
absl::Status LaunchMlaAttention(const EngineContext& context, std::size_t layer,
                                const MlaWeights& weights, const MicroBatch& batch,
                                base::Stream& stream);

}  // namespace moesaic::router
