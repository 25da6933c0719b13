#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/checkpoint.h"

namespace moesaic::model {

/// Parameters and stored bytes of one role; scales count as bytes, not as parameters.
struct RoleSize {
  std::int64_t parameters = 0;
  std::int64_t bytes = 0;
};

/// What a person wants to know of a checkpoint before serving it. Plain value.
struct CheckpointSummary {
  std::string directory;
  std::string architecture;
  std::string family;
  std::string weight_format;
  std::int64_t context_length = 0;
  int num_layers = 0;
  int moe_layers = 0;
  int experts_per_layer = 0;
  int shared_experts = 0;
  int experts_per_token = 0;

  RoleSize embedding;
  RoleSize attention;
  RoleSize dense_mlp;
  RoleSize gates;
  RoleSize shared;
  RoleSize routed;
  RoleSize head;  ///< Zero when tied to the embedding.
  RoleSize norms;
  RoleSize total;
  /// Parameters used per token: all but the routed experts not chosen; of the embedding, one row.
  std::int64_t active_parameters = 0;
  /// Tensors of the files that no role uses (multi-token prediction among them).
  RoleSize unused;

  int unit_size = 1;
  std::int64_t units = 0;           ///< Over all MoE layers.
  std::int64_t bytes_per_unit = 0;  ///< Of a full unit.
  /// Why the model cannot be run; empty when it can.
  std::vector<std::string> problems;
};

/// Sums up a checkpoint; reads headers only. `unit_size` ≥ 1, in experts.
CheckpointSummary Summarize(const Checkpoint& checkpoint, int unit_size);

/// Opens and sums up: a checkpoint that cannot even be opened gives a summary with the error as
/// its only problem.
CheckpointSummary InspectDirectory(const std::string& directory, int unit_size);

/// Several lines for a terminal.
std::string RenderSummary(const CheckpointSummary& summary);

}  // namespace moesaic::model
