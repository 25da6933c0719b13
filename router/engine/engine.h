#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "base/stream.h"
#include "model/checkpoint.h"
#include "router/engine/engine_context.h"
#include "router/engine/expert_backend.h"
#include "router/engine/head_stage.h"
#include "router/engine/step_batch.h"
#include "router/engine/step_machine.h"
#include "router/engine/weights_loader.h"

namespace moesaic::router {

struct EngineOptions {
  base::DType compute_dtype = base::DType::kBF16;  ///< f32 or bf16.
  int max_step_tokens = 512;                       ///< Rows of the largest step.
  int max_num_seqs = 64;                           ///< Slices of the largest step.
  int max_model_len = 0;                           ///< Positions of a sequence.
  int block_tokens = 16;                           ///< Positions of a KV block.
  /// Memory of the KV cache, in whole blocks.
  std::size_t kv_cache_bytes = 0;
  LayerObserver observer;  ///< Tests only.
  const base::Clock* clock = &base::Clock::Real();
};

/// The dense part of a model on this machine: weights, KV cache, activation buffers, and the
/// stream on which steps are computed, one at a time. Run belongs to the loop thread; the rest is
/// thread-safe. Destroy after the loop has stopped: the destructor waits for the stream and for
/// expert calls in flight, whose results it drops.
class Engine final : public StepRunner {
 public:
  /// Builds around loaded weights. What is passed in must outlive the engine.
  /// Errors: InvalidArgument for options that do not fit each other or the model;
  /// ResourceExhausted when memory is short.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const model::ModelConfig& config,
                                                        DenseWeights weights, EngineOptions options,
                                                        base::ComputePool& pool, base::Loop& loop,
                                                        ExpertBackend& backend);
  ~Engine() override;

  void Run(StepBatch batch, absl::AnyInvocable<void(StepResult)> done) override;
  absl::Status Ready() const override { return backend_.Ready(); }

  std::int32_t kv_blocks() const { return context_.kv.blocks(); }

 private:
  Engine(EngineContext context, HeadStage head, LayerObserver observer, const base::Clock& clock,
         base::ComputePool& pool, base::Loop& loop, ExpertBackend& backend);
  void CallExperts(const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done);

  EngineContext context_;
  HeadStage head_;
  const LayerObserver observer_;
  base::Loop& loop_;
  ExpertBackend& backend_;
  base::Mutex mutex_;
  base::CondVar calls_done_;
  int calls_in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<MicroBatch> layout_;     // loop thread
  std::unique_ptr<StepMachine> step_;  // loop thread
  const StepEnvironment environment_;
  base::CpuStream stream_;  // last: its destructor waits for work that uses all of the above
};

}  // namespace moesaic::router
