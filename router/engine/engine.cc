#include "router/engine/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/gating.h"
#include "kernels/linear.h"
#include "router/engine/attention_block.h"
#include "router/engine/moe_block.h"

namespace moesaic::router {
namespace {

absl::Status CheckOptions(const EngineOptions& options) {
  if (options.max_step_tokens < 1 || options.max_num_seqs < 1 || options.max_model_len < 1 ||
      options.block_tokens < 1) {
    return absl::InvalidArgumentError(
        "max_step_tokens, max_num_seqs, max_model_len and block_tokens must be positive");
  }
  return absl::OkStatus();
}

/// The kernel derives the attention factor from two mscales; the config has the factor itself.
/// With mscale_all_dim = 0 it is mscale(factor, m) = 0.1 m ln factor + 1, solved for m.
double MscaleFor(double attention_factor, double factor) {
  if (attention_factor == 1) return 0;
  return (attention_factor - 1) / (kernels::YarnMscale(factor, 1) - 1);
}

absl::StatusOr<kernels::RopeTable> BuildRope(const model::RopeConfig& rope, int max_positions) {
  kernels::RopeOptions options{
      .dim = rope.dim, .theta = rope.theta, .max_positions = max_positions};
  if (rope.yarn) {
    options.yarn = {.factor = rope.yarn->factor,
                    .original_max_positions = static_cast<double>(rope.yarn->original_max_position),
                    .beta_fast = rope.yarn->beta_fast,
                    .beta_slow = rope.yarn->beta_slow,
                    .mscale = MscaleFor(rope.attention_factor, rope.yarn->factor),
                    .mscale_all_dim = 0};
  } else if (rope.attention_factor != 1) {
    return absl::InvalidArgumentError("an attention factor without YaRN is not supported");
  }
  return kernels::RopeTable::Build(options);
}

/// A micro-batch of the largest size, to measure workspaces by. Its arrays hold zeros.
MicroBatch LargestMicroBatch(const EngineOptions& options, std::int32_t max_blocks) {
  MicroBatch batch;
  batch.rows = options.max_step_tokens;
  batch.slices = std::min(options.max_num_seqs, options.max_step_tokens);
  batch.row_offsets.resize(batch.slices + 1);
  batch.first_positions.resize(batch.slices);
  batch.prompt_lengths.resize(batch.slices);
  batch.max_blocks = max_blocks;
  batch.block_tables.resize(std::size_t(batch.slices) * max_blocks);
  return batch;
}

/// The most that a matrix of the router needs for `rows` rows.
std::size_t LinearWorkspaceBytes(const DenseWeights& weights, std::int64_t rows) {
  std::size_t bytes = 0;
  const auto add = [&](const kernels::PackedMatrix& matrix) {
    bytes = std::max(bytes, kernels::LinearWorkspaceBytes(matrix, rows));
  };
  for (const DenseLayer& layer : weights.layers) {
    if (const auto* mla = std::get_if<MlaWeights>(&layer.attention)) {
      for (const kernels::PackedMatrix* matrix : {&mla->a, &mla->q_b, &mla->o}) add(*matrix);
    } else {
      const auto& gqa = std::get<GqaWeights>(layer.attention);
      for (const kernels::PackedMatrix* matrix : {&gqa.qkv, &gqa.o}) add(*matrix);
    }
    if (layer.gate) add(layer.gate->weight);
    if (!layer.mlp) continue;
    add(layer.mlp->gate_up);
    add(layer.mlp->down);
  }
  add(weights.lm_head);
  return bytes;
}

absl::StatusOr<base::Buffer> AllocateWorkspace(const EngineContext& context,
                                               const MicroBatch& largest) {
  std::size_t bytes = AttentionWorkspaceBytes(context, largest);
  bytes = std::max(bytes, LinearWorkspaceBytes(context.weights, largest.rows));
  for (const DenseLayer& layer : context.weights.layers) {
    if (!layer.gate) continue;
    bytes =
        std::max(bytes, kernels::WorkspaceBytes(GatingArgsOf(context, *layer.gate, largest, true)));
  }
  return base::Buffer::Allocate(bytes);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const model::ModelConfig& config,
                                                       DenseWeights weights, EngineOptions options,
                                                       base::ComputePool& pool, base::Loop& loop,
                                                       ExpertBackend& backend) {
  MOESAIC_RETURN_IF_ERROR(CheckOptions(options));
  const std::int32_t blocks =
      KvBlocksFor(config, options.compute_dtype, options.block_tokens, options.kv_cache_bytes);
  if (blocks == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a KV cache of ", options.kv_cache_bytes, " bytes does not hold one block of ",
        options.block_tokens, " tokens, ",
        KvBytesPerToken(config, options.compute_dtype) * options.block_tokens, " bytes"));
  }
  EngineContext context;
  context.config = config;
  context.compute_dtype = options.compute_dtype;
  context.weights = std::move(weights);
  context.parallelism = pool.threads() + 1;
  MOESAIC_ASSIGN_OR_RETURN(context.rope, BuildRope(config.rope, options.max_model_len));
  MOESAIC_ASSIGN_OR_RETURN(
      context.kv, KvStore::Create(config, options.compute_dtype, blocks, options.block_tokens));
  MOESAIC_ASSIGN_OR_RETURN(
      context.buffers, StepBuffers::Create(config, options.compute_dtype, options.max_step_tokens));
  const std::int32_t longest_table =
      std::min(blocks, (options.max_model_len - 1) / options.block_tokens + 1);
  MOESAIC_ASSIGN_OR_RETURN(context.buffers.workspace,
                           AllocateWorkspace(context, LargestMicroBatch(options, longest_table)));
  MOESAIC_ASSIGN_OR_RETURN(
      HeadStage head, HeadStage::Create(config, options.compute_dtype, options.max_step_tokens));
  return std::unique_ptr<Engine>(new Engine(std::move(context), std::move(head),
                                            std::move(options.observer), *options.clock, pool, loop,
                                            backend));
}

Engine::Engine(EngineContext context, HeadStage head, LayerObserver observer,
               const base::Clock& clock, base::ComputePool& pool, base::Loop& loop,
               ExpertBackend& backend)
    : context_(std::move(context)),
      head_(std::move(head)),
      observer_(std::move(observer)),
      loop_(loop),
      backend_(backend),
      environment_{
          .context = context_,
          .stream = stream_,
          .loop = loop_,
          .clock = clock,
          .call_experts =
              [this](const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done) {
                CallExperts(call, std::move(done));
              },
          .unit_size = backend.unit_size(),
          .head = head_,
          .observer = observer_,
          .layout = layout_},
      stream_(pool, &clock) {}

Engine::~Engine() {
  base::MutexLock lock(mutex_);
  while (calls_in_flight_ > 0) calls_done_.Wait(mutex_);
}

void Engine::Run(StepBatch batch, absl::AnyInvocable<void(StepResult)> done) {
  MOESAIC_CHECK(step_ == nullptr);
  MOESAIC_CHECK(!batch.slices.empty());
  step_ = std::make_unique<StepMachine>(
      environment_, std::move(batch), [this, done = std::move(done)](StepResult result) mutable {
        // `done` may start the next step; this one's machine is below us on the stack.
        const std::unique_ptr<StepMachine> finished = std::move(step_);
        done(std::move(result));
      });
  step_->Start();
}

void Engine::CallExperts(const ExpertCall& call, absl::AnyInvocable<void(ExpertOutcome)> done) {
  {
    base::MutexLock lock(mutex_);
    ++calls_in_flight_;
  }
  backend_.Compute(call, [this, done = std::move(done)](ExpertOutcome outcome) mutable {
    loop_.PostCompletion([done = std::move(done), outcome = std::move(outcome)]() mutable {
      done(std::move(outcome));
    });
    base::MutexLock lock(mutex_);
    --calls_in_flight_;
    calls_done_.NotifyAll();
  });
}

}  // namespace moesaic::router
