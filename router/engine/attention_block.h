#pragma once

#include <cstddef>

#include "absl/status/status.h"
#include "base/stream.h"
#include "router/engine/engine_context.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// Launches the attention of a layer for a micro-batch: norm, projections, RoPE, the new rows of
/// the KV cache, attention over the cache, output projection, and the addition to the residual
/// stream. Errors: those of the ops (our bugs; the shapes were checked when the engine was built).
absl::Status LaunchAttention(const EngineContext& context, std::size_t layer,
                             const MicroBatch& batch, base::Stream& stream);

/// Workspace that LaunchAttention needs for `batch`.
std::size_t AttentionWorkspaceBytes(const EngineContext& context, const MicroBatch& batch);

}  // namespace moesaic::router
