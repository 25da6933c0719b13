#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/ids.h"
#include "base/tensor.h"
#include "monitoring/trace_context.h"
#include "router/trace/step_timeline.h"

namespace moesaic::router {

/// The routed experts of one layer for the rows of one micro-batch. Everything borrowed stays valid
/// and unchanged until the call's `done` has run.
struct ExpertCall {
  base::LayerId layer;
  int top_k = 0;
  int hidden_size = 0;
  /// Activations after the norm, [tokens, hidden], f32 or bf16 (the compute dtype), host memory.
  base::TensorView rows;
  /// [tokens * top_k], experts of each token in ascending order; -1 skips the entry.
  absl::Span<const std::int32_t> expert_ids;
  /// [tokens * top_k], gate weight of each entry.
  absl::Span<const float> weights;
  /// [tokens], whether the row belongs to a prompt (prefill lane) or to a generated token (decode).
  absl::Span<const bool> is_prefill;
  /// [tokens], monotonic time after which nobody wants the row.
  absl::Span<const absl::Duration> deadlines;
  /// [tokens + 1], non-decreasing: slots of token t are [slot_offsets[t], slot_offsets[t + 1]), one
  /// per distinct unit of the token, units ascending.
  absl::Span<const std::int32_t> slot_offsets;
  /// Output, f32 [slots, hidden], host memory: slot s = the sum over its unit's experts. A slot of
  /// a failed token is unspecified.
  base::TensorView slots;
  /// [tokens], the traces that the shards are told of, null for the others; empty = none.
  absl::Span<const monitoring::TraceId* const> trace_ids = {};
  std::shared_ptr<StepTimeline> timeline = {};  ///< Sees the dispatches; may be null.
};

/// What the shards computed for one token. Plain value.
struct TokenWork {
  float seconds = 0;
  float cost = 0;              ///< Of the seconds that have a price.
  float unpriced_seconds = 0;  ///< Of `seconds`, on nodes whose price is unknown.
};

/// Outcome of an ExpertCall.
struct ExpertOutcome {
  /// Tokens (row numbers) that could not be computed, ascending, and why; the rest is complete.
  struct Failure {
    std::int32_t token;
    absl::Status status;
  };
  std::vector<Failure> failures;
  /// Slots that were left out because nobody could compute them, ascending; their content is
  /// unspecified. Empty unless the backend was told that it may leave slots out.
  std::vector<std::int32_t> skipped_slots;
  /// [tokens], answers that were used; empty when the backend does not say.
  std::vector<TokenWork> token_work;
  /// Of the answer that came last: how long it waited in the shard, and how long its batch took.
  absl::Duration last_queue_wait = {};
  absl::Duration last_compute = {};
};

/// Where routed experts are computed: over gRPC in the router, in-process in tests. Thread-safe.
class ExpertBackend {
 public:
  virtual ~ExpertBackend() = default;
  /// Starts the computation and returns. `done` runs exactly once, on a thread of the backend's
  /// choice, and must only post to a loop.
  virtual void Compute(const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done) = 0;
  /// Whether a call made now would be computed: OK, or Unavailable naming what is missing. Every
  /// unit of every MoE layer must have a live holder, but where slots may be left out.
  virtual absl::Status Ready() const = 0;
  /// Experts per unit.
  virtual int unit_size() const = 0;
};

}  // namespace moesaic::router
