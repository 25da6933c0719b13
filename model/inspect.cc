#include "model/inspect.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "base/strings.h"
#include "model/weights.h"

namespace moesaic::model {
namespace {

using base::ExpertId;
using base::LayerId;

// A checkpoint with a missing file lacks thousands of tensors; the first few say what is wrong.
constexpr std::size_t kMaxProblems = 10;

/// Walks over all weights the model needs, adding each to its role and collecting what is missing.
class Walk {
 public:
  Walk(const Checkpoint& checkpoint, CheckpointSummary& summary)
      : config_(checkpoint.config()), weights_(checkpoint), summary_(summary) {}

  void Run() {
    Add(summary_.embedding, weights_.Embedding());
    Add(summary_.norms, weights_.FinalNorm());
    if (!config_.tie_word_embeddings) Add(summary_.head, weights_.LmHead());
    for (int l = 0; l < config_.num_layers; ++l) Layer(LayerId(l));
    if (failures_ > kMaxProblems) {
      summary_.problems.push_back(absl::StrCat("and ", failures_ - kMaxProblems, " more"));
    }
  }

 private:
  void Layer(LayerId layer) {
    if (const auto norms = Check(weights_.Norms(layer))) {
      Count(summary_.norms, norms->attention);
      Count(summary_.norms, norms->mlp);
    }
    if (config_.attention.kind == AttentionKind::kMla) {
      Mla(layer);
    } else {
      Gqa(layer);
    }
    if (!config_.IsMoeLayer(layer)) {
      Add(summary_.dense_mlp, weights_.DenseMlp(layer));
      return;
    }
    if (const auto gate = Check(weights_.Gate(layer))) {
      Count(summary_.gates, gate->weight);
      Count(summary_.gates, gate->correction_bias);
    }
    if (const auto shared = Check(weights_.SharedExperts(layer)); shared && *shared) {
      Count(summary_.shared, **shared);
    }
    for (int e = 0; e < config_.moe.num_experts; ++e) {
      Add(summary_.routed, weights_.RoutedExpert(layer, ExpertId(e)));
    }
  }

  void Mla(LayerId layer) {
    const auto mla = Check(weights_.Mla(layer));
    if (!mla) return;
    for (const auto* weight : {&mla->q_proj, &mla->q_a, &mla->q_b}) {
      Count(summary_.attention, *weight);
    }
    for (const auto* weight : {&mla->kv_a, &mla->kv_b, &mla->o_proj}) {
      Count(summary_.attention, *weight);
    }
    Count(summary_.norms, mla->q_a_norm);
    Count(summary_.norms, mla->kv_a_norm);
  }

  void Gqa(LayerId layer) {
    const auto gqa = Check(weights_.Gqa(layer));
    if (!gqa) return;
    for (const auto* weight : {&gqa->q_proj, &gqa->k_proj, &gqa->v_proj, &gqa->o_proj}) {
      Count(summary_.attention, *weight);
    }
    Count(summary_.norms, gqa->q_norm);
    Count(summary_.norms, gqa->k_norm);
  }

  template <typename T>
  std::optional<T> Check(absl::StatusOr<T> found) {
    if (found.ok()) return *std::move(found);
    if (++failures_ <= kMaxProblems) summary_.problems.emplace_back(found.status().message());
    return std::nullopt;
  }

  template <typename T>
  void Add(RoleSize& role, absl::StatusOr<T> found) {
    if (const auto weight = Check(std::move(found))) Count(role, *weight);
  }

  static void Count(RoleSize& role, const Weight& weight) {
    role.parameters += weight.tensor.elements();
    role.bytes += static_cast<std::int64_t>(weight.bytes());
  }
  static void Count(RoleSize& role, const std::optional<Weight>& weight) {
    if (weight) Count(role, *weight);
  }
  static void Count(RoleSize& role, const MlpWeights& mlp) {
    for (const Weight* weight : {&mlp.gate, &mlp.up, &mlp.down}) Count(role, *weight);
  }

  const ModelConfig& config_;
  const WeightMap weights_;
  CheckpointSummary& summary_;
  std::size_t failures_ = 0;
};

/// Everything the files hold, whatever it is for.
RoleSize StoredSize(const Checkpoint& checkpoint) {
  RoleSize stored;
  for (const SafetensorsFile& file : checkpoint.files()) {
    for (const TensorInfo& tensor : file.tensors()) {
      stored.bytes += static_cast<std::int64_t>(tensor.bytes());
      if (absl::EndsWith(tensor.name, "_scale_inv")) continue;
      // The header check has seen that the product fits.
      std::int64_t elements = 1;
      for (const std::int64_t size : tensor.shape) elements *= size;
      stored.parameters += elements;
    }
  }
  return stored;
}

std::int64_t ActiveParameters(const ModelConfig& config, const CheckpointSummary& summary) {
  std::int64_t active = summary.total.parameters;
  active -= summary.routed.parameters;
  active += summary.routed.parameters / config.moe.num_experts * config.moe.gating.top_k;
  // A tied embedding is also the head and so read whole.
  if (!config.tie_word_embeddings) active -= summary.embedding.parameters - config.hidden_size;
  return active;
}

void SumUp(const Checkpoint& checkpoint, CheckpointSummary& summary) {
  const ModelConfig& config = checkpoint.config();
  for (const RoleSize* role :
       {&summary.embedding, &summary.attention, &summary.dense_mlp, &summary.gates, &summary.shared,
        &summary.routed, &summary.head, &summary.norms}) {
    summary.total.parameters += role->parameters;
    summary.total.bytes += role->bytes;
  }
  const RoleSize stored = StoredSize(checkpoint);
  summary.unused.parameters = stored.parameters - summary.total.parameters;
  summary.unused.bytes = stored.bytes - summary.total.bytes;
  summary.active_parameters = ActiveParameters(config, summary);

  const std::int64_t experts = config.moe.num_experts;
  const std::int64_t unit_size = std::min<std::int64_t>(summary.unit_size, experts);
  summary.units = summary.moe_layers * ((experts + unit_size - 1) / unit_size);
  summary.bytes_per_unit = summary.routed.bytes / (summary.moe_layers * experts) * unit_size;
}

std::string Size(std::int64_t bytes) {
  const double gib = static_cast<double>(bytes) / (1 << 30);
  if (gib >= 1) return absl::StrFormat("%.2f GiB", gib);
  if (bytes >= 1 << 20) return absl::StrFormat("%.2f MiB", static_cast<double>(bytes) / (1 << 20));
  return absl::StrFormat("%.2f KiB", static_cast<double>(bytes) / (1 << 10));
}

std::string Parameters(std::int64_t count) {
  if (count >= 1'000'000'000) return absl::StrFormat("%.2f B", static_cast<double>(count) / 1e9);
  if (count >= 1'000'000) return absl::StrFormat("%.2f M", static_cast<double>(count) / 1e6);
  return absl::StrCat(count);
}

}  // namespace

CheckpointSummary Summarize(const Checkpoint& checkpoint, int unit_size) {
  MOESAIC_CHECK(unit_size >= 1);
  const ModelConfig& config = checkpoint.config();
  CheckpointSummary summary;
  summary.directory = checkpoint.directory();
  summary.architecture = config.architecture.empty() ? config.model_type : config.architecture;
  summary.family = FamilyName(config.family);
  summary.weight_format = checkpoint.WeightFormat();
  summary.context_length = config.max_position;
  summary.num_layers = config.num_layers;
  summary.moe_layers = static_cast<int>(config.moe_layers.size());
  summary.experts_per_layer = config.moe.num_experts;
  summary.shared_experts = config.moe.num_shared_experts;
  summary.experts_per_token = config.moe.gating.top_k;
  summary.unit_size = unit_size;
  Walk(checkpoint, summary).Run();
  SumUp(checkpoint, summary);
  return summary;
}

CheckpointSummary InspectDirectory(const std::string& directory, int unit_size) {
  const absl::StatusOr<std::unique_ptr<Checkpoint>> checkpoint = Checkpoint::Open(directory);
  if (checkpoint.ok()) return Summarize(**checkpoint, unit_size);
  CheckpointSummary summary;
  summary.directory = directory;
  summary.unit_size = unit_size;
  summary.problems.emplace_back(checkpoint.status().message());
  return summary;
}

std::string RenderSummary(const CheckpointSummary& summary) {
  std::string text = absl::StrCat("checkpoint     ", summary.directory, "\n");
  if (!summary.family.empty()) {
    absl::StrAppend(&text, "architecture   ", summary.architecture, " (family ", summary.family,
                    ")\n", "weights        ", summary.weight_format, "\n", "context        ",
                    summary.context_length, " tokens\n", "layers         ", summary.num_layers,
                    ", ", summary.moe_layers, " of them MoE\n", "experts        ",
                    summary.experts_per_layer, " per MoE layer, ", summary.experts_per_token,
                    " per token, ", summary.shared_experts, " shared\n", "parameters     ",
                    Parameters(summary.total.parameters), " in total, ",
                    Parameters(summary.active_parameters), " per token\n");
    const std::pair<std::string_view, const RoleSize*> roles[] = {
        {"embedding", &summary.embedding},
        {"attention", &summary.attention},
        {"dense MLP", &summary.dense_mlp},
        {"gates", &summary.gates},
        {"shared experts", &summary.shared},
        {"routed experts", &summary.routed},
        {"head", &summary.head},
        {"norms", &summary.norms},
        {"total", &summary.total},
        {"not used", &summary.unused},
    };
    for (const auto& [name, role] : roles) {
      absl::StrAppendFormat(&text, "  %-14s %12s  %10s parameters\n", base::ToAbsl(name),
                            Size(role->bytes), Parameters(role->parameters));
    }
    absl::StrAppend(&text, "units          ", summary.units, " of ", summary.unit_size,
                    summary.unit_size == 1 ? " expert, " : " experts, ",
                    Size(summary.bytes_per_unit), " each\n");
  }
  if (summary.problems.empty()) {
    absl::StrAppend(&text, "runnable       yes\n");
  } else {
    absl::StrAppend(&text, "runnable       no:\n");
    for (const std::string& problem : summary.problems) {
      absl::StrAppend(&text, "  ", problem, "\n");
    }
  }
  return text;
}

}  // namespace moesaic::model
