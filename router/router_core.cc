#include "router/router_core.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/log.h"
#include "base/memory.h"
#include "base/status_macros.h"

namespace moesaic::router {
namespace {

/// Outside tasks waiting for the loop: submissions, of which the scheduler bounds those that wait
/// longer, so this only has to cover a burst.
constexpr std::size_t kLoopQueue = 4096;

/// What was asked for; else half of what is left, but never more than all sequences can fill.
absl::StatusOr<std::uint64_t> ResolveKvCacheBytes(const RouterCoreOptions& options,
                                                  const model::ModelConfig& config) {
  if (options.kv_cache_bytes > 0) return options.kv_cache_bytes;
  MOESAIC_ASSIGN_OR_RETURN(const std::uint64_t available, base::AvailableMemoryBytes());
  const std::uint64_t tokens_per_sequence =
      BlocksFor(options.max_model_len, options.kv_block_tokens) * options.kv_block_tokens;
  const std::uint64_t useful =
      KvBytesPerToken(config, options.compute_dtype) * tokens_per_sequence * options.max_num_seqs;
  return std::min(available / 2, useful);
}

absl::StatusOr<int> ResolveMaxModelLen(int wanted, const model::ModelConfig& config) {
  if (wanted > config.max_position) {
    return absl::InvalidArgumentError(absl::StrCat("max_model_len ", wanted,
                                                   " is beyond the model's context length of ",
                                                   config.max_position));
  }
  if (wanted > 0) return wanted;
  return static_cast<int>(
      std::min<std::int64_t>(config.max_position, std::numeric_limits<int>::max()));
}

SchedulerOptions SchedulerOptionsFor(const model::Checkpoint& checkpoint,
                                     const RouterCoreOptions& options, std::int32_t kv_blocks) {
  const model::ModelConfig& config = checkpoint.config();
  SchedulerOptions scheduler;
  scheduler.bounds.limits.max_model_len = options.max_model_len;
  scheduler.bounds.limits.vocab_size = config.vocab_size;
  scheduler.bounds.moe_layers = static_cast<int>(config.moe_layers.size());
  scheduler.bounds.top_k = config.moe.gating.top_k;
  scheduler.bounds.num_experts = config.moe.num_experts;
  scheduler.bounds.max_top_logprobs = std::min(kMaxTopLogprobs, config.vocab_size);
  scheduler.kv_blocks = kv_blocks;
  scheduler.block_tokens = options.kv_block_tokens;
  scheduler.max_num_seqs = options.max_num_seqs;
  scheduler.max_step_tokens = options.max_step_tokens;
  scheduler.max_queue = options.max_queue;
  scheduler.micro_batches = options.micro_batches;
  scheduler.max_step_time = options.max_step_time;
  scheduler.price_per_second = options.price_per_second;
  scheduler.metrics = options.metrics;
  scheduler.on_step = options.on_step;
  for (const std::int64_t id : checkpoint.eos_token_ids()) {
    scheduler.eos_token_ids.push_back(static_cast<std::int32_t>(id));
  }
  return scheduler;
}

void LogCapacity(const DenseWeights& weights, const model::ModelConfig& config,
                 const RouterCoreOptions& options, std::int32_t kv_blocks) {
  base::LogInfo("dense weights: ", weights.bytes,
                " bytes; KV cache: ", std::int64_t{kv_blocks} * options.kv_block_tokens,
                " tokens (", kv_blocks, " blocks of ", options.kv_block_tokens, ", ",
                KvBytesPerToken(config, options.compute_dtype), " bytes per token)");
}

}  // namespace

RouterCore::RouterCore() : loop_(kLoopQueue) {}

RouterCore::~RouterCore() { loop_.Stop(); }

absl::StatusOr<std::unique_ptr<RouterCore>> RouterCore::Create(
    const model::Checkpoint& checkpoint, RouterCoreOptions options, base::ComputePool& pool,
    ExpertBackend& backend, LoadProgress progress, const base::Clock& clock) {
  const model::ModelConfig& config = checkpoint.config();
  MOESAIC_ASSIGN_OR_RETURN(options.max_model_len,
                           ResolveMaxModelLen(options.max_model_len, config));
  MOESAIC_ASSIGN_OR_RETURN(
      DenseWeights weights,
      LoadDenseWeights(checkpoint, options.compute_dtype, options.weight_dtype, pool, progress));
  MOESAIC_ASSIGN_OR_RETURN(options.kv_cache_bytes, ResolveKvCacheBytes(options, config));
  LogCapacity(
      weights, config, options,
      KvBlocksFor(config, options.compute_dtype, options.kv_block_tokens, options.kv_cache_bytes));
  std::unique_ptr<RouterCore> core(new RouterCore());
  EngineOptions engine{.compute_dtype = options.compute_dtype,
                       .max_step_tokens = options.max_step_tokens,
                       .max_num_seqs = options.max_num_seqs,
                       .max_model_len = options.max_model_len,
                       .block_tokens = options.kv_block_tokens,
                       .kv_cache_bytes = options.kv_cache_bytes,
                       .observer = std::move(options.observer),
                       .clock = &clock};
  MOESAIC_ASSIGN_OR_RETURN(
      core->engine_,
      Engine::Create(config, std::move(weights), std::move(engine), pool, core->loop_, backend));
  MOESAIC_ASSIGN_OR_RETURN(
      core->scheduler_,
      Scheduler::Create(SchedulerOptionsFor(checkpoint, options, core->engine_->kv_blocks()),
                        *core->engine_, core->loop_, clock));
  return core;
}

}  // namespace moesaic::router
