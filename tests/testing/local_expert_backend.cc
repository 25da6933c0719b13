#include "tests/testing/local_expert_backend.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/expert_ffn.h"
#include "model/weights.h"
#include "router/engine/weights_loader.h"

namespace moesaic::testing {

/// What one call needs until the stream has passed it.
struct LocalExpertBackend::Job {
  std::vector<std::vector<kernels::ExpertEntry>> entries;  // by expert
  std::vector<kernels::ExpertGroup> groups;
  base::Buffer workspace;
  router::ExpertOutcome outcome;
};

absl::StatusOr<std::unique_ptr<LocalExpertBackend>> LocalExpertBackend::Create(
    const model::Checkpoint& checkpoint, base::DType compute_dtype,
    std::optional<base::DType> weight_dtype, base::DType wire_dtype, int unit_size,
    base::ComputePool& pool) {
  const model::ModelConfig& config = checkpoint.config();
  const model::WeightMap weights(checkpoint);
  std::unique_ptr<LocalExpertBackend> backend(new LocalExpertBackend(wire_dtype, unit_size, pool));
  backend->layers_.resize(config.num_layers);
  for (const base::LayerId layer : config.moe_layers) {
    for (int e = 0; e < config.moe.num_experts; ++e) {
      MOESAIC_ASSIGN_OR_RETURN(const model::MlpWeights mlp,
                               weights.RoutedExpert(layer, base::ExpertId(e)));
      const kernels::WeightSource gate_up[] = {{.weight = mlp.gate.tensor, .scale = mlp.gate.scale},
                                               {.weight = mlp.up.tensor, .scale = mlp.up.scale}};
      const kernels::WeightSource down[] = {{.weight = mlp.down.tensor, .scale = mlp.down.scale}};
      const base::DType storage =
          weight_dtype.value_or(router::PackedStorage({mlp.gate, mlp.up, mlp.down}, compute_dtype));
      Expert expert;
      MOESAIC_ASSIGN_OR_RETURN(expert.gate_up, kernels::PackedMatrix::Pack(gate_up, storage));
      MOESAIC_ASSIGN_OR_RETURN(expert.down, kernels::PackedMatrix::Pack(down, storage));
      backend->layers_[layer.value()].push_back(std::move(expert));
    }
  }
  return backend;
}

std::unique_ptr<LocalExpertBackend::Job> LocalExpertBackend::MakeJob(
    const router::ExpertCall& call) const {
  const std::vector<Expert>& experts = layers_[call.layer.value()];
  auto job = std::make_unique<Job>();
  job->entries.resize(experts.size());
  const auto tokens = static_cast<std::int32_t>(call.slot_offsets.size()) - 1;
  for (std::int32_t token = 0; token < tokens; ++token) {
    std::int32_t slot = call.slot_offsets[token] - 1;
    std::int32_t last_unit = -1;
    for (int i = token * call.top_k; i < (token + 1) * call.top_k; ++i) {
      const std::int32_t expert = call.expert_ids[i];
      if (expert < 0) continue;
      const bool first = expert / unit_size_ != last_unit;
      last_unit = expert / unit_size_;
      if (first) ++slot;
      job->entries[expert].push_back({token, slot, call.weights[i], first});
    }
    MOESAIC_CHECK(slot + 1 == call.slot_offsets[token + 1]);
    if (!fault_) continue;
    if (absl::Status failed = fault_(call, token); !failed.ok()) {
      job->outcome.failures.push_back({token, std::move(failed)});
    }
  }
  for (std::size_t e = 0; e < experts.size(); ++e) {
    if (job->entries[e].empty()) continue;
    job->groups.push_back({&experts[e].gate_up, &experts[e].down, job->entries[e]});
  }
  return job;
}

std::vector<std::int32_t> LocalExpertBackend::SkippedSlots(const router::ExpertCall& call) const {
  std::vector<std::int32_t> skipped;
  if (!skip_) return skipped;
  for (std::int32_t token = 0; token + 1 < static_cast<std::int32_t>(call.slot_offsets.size());
       ++token) {
    for (std::int32_t s = call.slot_offsets[token]; s < call.slot_offsets[token + 1]; ++s) {
      if (skip_(call, token, s)) skipped.push_back(s);
    }
  }
  return skipped;
}

void LocalExpertBackend::RoundToWire(const router::ExpertCall& call) const {
  if (wire_dtype_ == base::DType::kF32) return;
  float* slots = call.slots.As<float>();
  for (std::int64_t i = 0; i < call.slots.elements(); ++i) slots[i] = base::RoundToBF16(slots[i]);
}

void LocalExpertBackend::Compute(const router::ExpertCall& call,
                                 absl::AnyInvocable<void(router::ExpertOutcome)> done) {
  std::unique_ptr<Job> job = MakeJob(call);
  const kernels::ExpertFfnArgs args{.x = call.rows, .groups = job->groups, .y = call.slots};
  const auto bytes = static_cast<std::int64_t>(kernels::WorkspaceBytes(args));
  absl::StatusOr<base::Buffer> workspace = base::Buffer::Allocate(bytes);
  MOESAIC_CHECK(workspace.ok());
  job->workspace = *std::move(workspace);
  base::MutexLock lock(mutex_);
  const absl::Status launched =
      kernels::Launch(args, job->workspace.View(base::DType::kU8, {bytes}), stream_);
  MOESAIC_CHECK(launched.ok());
  stream_.OnComplete([this, call, job = std::move(job), done = std::move(done)]() mutable {
    RoundToWire(call);
    job->outcome.skipped_slots = SkippedSlots(call);
    for (const std::int32_t slot : job->outcome.skipped_slots) {
      std::fill_n(call.slots.As<float>() + std::int64_t{slot} * call.hidden_size, call.hidden_size,
                  std::numeric_limits<float>::quiet_NaN());
    }
    done(std::move(job->outcome));
  });
}

}  // namespace moesaic::testing
