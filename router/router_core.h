#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/loop.h"
#include "model/checkpoint.h"
#include "router/engine/engine.h"
#include "router/engine/expert_backend.h"
#include "router/scheduler/scheduler.h"

namespace moesaic::router {

struct RouterCoreOptions {
  base::DType compute_dtype = base::DType::kBF16;
  std::optional<base::DType> weight_dtype = std::nullopt;  ///< kI8, or nothing: as stored.
  /// Memory of the KV cache; 0 = half of what is left after the weights are loaded.
  std::uint64_t kv_cache_bytes = 0;
  int kv_block_tokens = 16;
  int max_model_len = 0;  ///< Prompt + generated tokens; 0 = the checkpoint's limit.
  int max_num_seqs = 64;
  int max_step_tokens = 512;
  int max_queue = 256;
  std::optional<int> micro_batches;  ///< As in SchedulerOptions, like the next.
  absl::Duration max_step_time = absl::InfiniteDuration();
  std::function<std::optional<double>()>
      price_per_second;  ///< As in SchedulerOptions, like the two below.
  SchedulerMetrics* metrics = nullptr;
  std::function<void(const StepSample&)> on_step;
  LayerObserver observer;  ///< Tests only.
};

/// Everything of a router between the API and the expert backend: the loop, the scheduler on it,
/// and the engine. Owns the three. Thread-safe.
class RouterCore {
 public:
  /// Loads the weights and allocates the cache; logs the capacity. `pool`, `backend` and `clock`
  /// must outlive it; the checkpoint need not.
  /// Errors: those of LoadDenseWeights, Engine::Create and Scheduler::Create.
  static absl::StatusOr<std::unique_ptr<RouterCore>> Create(
      const model::Checkpoint& checkpoint, RouterCoreOptions options, base::ComputePool& pool,
      ExpertBackend& backend, LoadProgress progress, const base::Clock& clock);
  /// Stops the loop; unfinished generations end without another event. The backend must still
  /// complete what was given to it.
  ~RouterCore();

  Scheduler& scheduler() { return *scheduler_; }
  /// Ends the loop: from here on no step begins and the backend gets no call. Idempotent.
  void Stop() { loop_.Stop(); }

 private:
  RouterCore();

  base::Loop loop_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Scheduler> scheduler_;
};

}  // namespace moesaic::router
