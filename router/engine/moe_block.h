#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "base/stream.h"
#include "kernels/gating.h"
#include "router/engine/engine_context.h"
#include "router/engine/expert_backend.h"
#include "router/engine/step_layout.h"

namespace moesaic::router {

/// The gating rule of a model as the kernel takes it.
kernels::GatingParams GatingParamsOf(const model::ModelConfig& config);

/// Arguments of the gating op for a micro-batch. `forced` = whether buffers.forced_ids applies.
kernels::GatingArgs GatingArgsOf(const EngineContext& context, const GateWeights& weights,
                                 const MicroBatch& batch, bool forced);

/// Launches norm, gate and choice of experts; leaves the normed rows in buffers.input, the choice
/// in buffers.expert_ids, gate_weights, ids_by_weight and invalid. Under every compute type the
/// gate reads the norm's f32 result.
absl::Status LaunchGate(const EngineContext& context, const DenseLayer& layer,
                        const MicroBatch& batch, bool forced, base::Stream& stream);

/// Numbers the result rows of a micro-batch: token t's are [offsets[t], offsets[t + 1]), one per
/// distinct unit among its experts. expert_ids: [tokens * top_k], ascending within a token, -1
/// skipped. `offsets`: [tokens + 1], overwritten; the memory it has is used again.
void SlotOffsets(absl::Span<const std::int32_t> expert_ids, int top_k, int unit_size,
                 std::vector<std::int32_t>& offsets);

/// The call to the routed experts; everything it borrows lives in the buffers, in `batch` and in
/// `slot_offsets`. Requires: the gate has completed.
ExpertCall MakeExpertCall(const EngineContext& context, base::LayerId layer,
                          const MicroBatch& batch, absl::Span<const std::int32_t> slot_offsets);

/// Launches residual = ((residual + shared) + u0) + u1 …; shared is in buffers.delta.
absl::Status LaunchCombine(const EngineContext& context, bool has_shared, const MicroBatch& batch,
                           const std::vector<std::int32_t>& slot_offsets, base::Stream& stream);

}  // namespace moesaic::router
