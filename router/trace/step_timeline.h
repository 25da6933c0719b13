#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace moesaic::router {

/// One layer of a micro-batch that went to the shards. Times are monotonic. Plain value.
struct LayerSpan {
  std::uint32_t layer = 0;
  std::uint32_t micro_batch = 0;
  absl::Duration begun = {};       ///< The layer before was done: combine, attention and gate.
  absl::Duration dispatched = {};  ///< The gate had chosen: rows go to the shards.
  absl::Duration done = {};        ///< All had come back.
};

/// One message to a shard and what became of it. Times are monotonic. Plain value.
struct DispatchSpan {
  std::string shard = {};
  /// "ok", what else the shard answered (rpc::DispatchCodeName), or how the router gave it up.
  /// Points at a literal.
  std::string_view outcome = {};
  absl::Duration sent = {};
  absl::Duration ended = {};
  std::uint32_t layer = 0;
  std::uint32_t rows = 0;
  std::uint32_t results = 0;  ///< Asked for: a row has one of each unit it goes through.
  bool prefill = false;
  bool hedge = false;  ///< Sent beside one that was late.
  bool retry = false;  ///< Some of it had been sent before, in vain.
  // As the shard says, 0 without an answer.
  absl::Duration queue_wait = {};
  absl::Duration compute = {};
  std::uint32_t batch_rows = 0;
};

/// What happened in one step of the router, for all requests in it. The loop, the dispatcher and
/// who looks at it share it; answers that came too late may be added when the step is over.
/// Thread-safe.
class StepTimeline {
 public:
  /// Beyond these, spans are counted and dropped.
  static constexpr std::size_t kMaxLayers = 512;
  static constexpr std::size_t kMaxDispatches = 1024;

  struct Content {
    absl::Duration started;
    absl::Duration ended;
    std::int32_t rows = 0;
    std::vector<LayerSpan> layers;
    std::vector<DispatchSpan> dispatches;
    std::uint64_t dropped = 0;
    /// Seconds by phase, names as in moesaic_step_phase_seconds_total.
    std::vector<std::pair<std::string_view, double>> phases;
  };

  /// Starts now. Borrows the clock.
  explicit StepTimeline(const base::Clock& clock) : clock_(clock), started_(clock.Monotonic()) {
    content_.started = started_;
  }
  absl::Duration started() const { return started_; }

  absl::Duration Now() const { return clock_.Monotonic(); }

  void AddLayer(const LayerSpan& span);
  void AddDispatch(DispatchSpan span);
  void Finish(absl::Duration ended, std::int32_t rows,
              std::vector<std::pair<std::string_view, double>> phases);

  Content Snapshot() const;
  std::size_t bytes() const;

 private:
  const base::Clock& clock_;
  const absl::Duration started_;
  mutable base::Mutex mutex_;
  Content content_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
