#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/tensor.h"
#include "model/config.h"
#include "model/generation_config.h"
#include "model/safetensors.h"

namespace moesaic::model {

/// A tensor of a checkpoint in its stored element type, borrowed from the Checkpoint's memory map.
struct Weight {
  /// The stored elements: f32, bf16, f16, or fp8 (then `scale` is set).
  base::TensorView tensor;
  /// fp8 only: f32 or bf16 [ceil(rows / block_rows), ceil(cols / block_cols)], multiplied onto the
  /// block it covers; edge blocks are partial.
  std::optional<base::TensorView> scale;
  int block_rows = 0;
  int block_cols = 0;

  /// Bytes in the file, the scale included.
  std::size_t bytes() const { return tensor.bytes() + (scale ? scale->bytes() : 0); }
};

/// A weight in memory of its own. Movable value.
struct LoadedWeight {
  Weight weight;  ///< Borrows from the two below.
  base::Buffer tensor;
  base::Buffer scale;
};

/// A checkpoint directory in the Hugging Face layout: config.json, generation_config.json if
/// there, and either model.safetensors.index.json with its files or one model.safetensors. All
/// headers are checked on opening; tensor bytes are mapped and read only when touched, so a shard
/// that packs some experts reads those experts. Immutable; weights borrow from it.
class Checkpoint {
 public:
  /// Errors: NotFound naming the missing file; those of ParseConfig and ParseGenerationConfig;
  /// InvalidArgument for a malformed index; DataLoss for a bad safetensors file, or an index that
  /// names a tensor its file lacks.
  static absl::StatusOr<std::unique_ptr<Checkpoint>> Open(const std::string& directory);

  const std::string& directory() const { return directory_; }
  const ModelConfig& config() const { return config_; }
  const GenerationConfig& generation_config() const { return generation_config_; }
  /// End-of-sequence ids: generation_config.json's if it names any, else config.json's.
  const std::vector<std::int64_t>& eos_token_ids() const;
  /// config.json as it stands in the file.
  const std::string& config_json() const { return config_json_; }
  /// Sorted by file name.
  absl::Span<const SafetensorsFile> files() const { return files_; }

  bool Contains(std::string_view name) const { return Locate(name) != nullptr; }
  /// The tensor `name`, with its scale when it is fp8.
  /// Errors: NotFound naming tensor and directory; DataLoss for an fp8 tensor without a fitting
  /// scale; Unimplemented for an element type we cannot compute with.
  absl::StatusOr<Weight> Find(std::string_view name) const;
  /// Find, and DataLoss naming both shapes unless the tensor has exactly this shape.
  absl::StatusOr<Weight> Find(std::string_view name,
                              std::initializer_list<std::int64_t> shape) const;

  /// Reads a weight of this checkpoint from its file, so that a disk that fails is an error.
  /// Errors: DataLoss naming the file; ResourceExhausted.
  absl::StatusOr<LoadedWeight> Load(const Weight& weight) const;

  /// How the weights are stored, for the numerics id and for people: "bf16", "fp16", "f32",
  /// "fp8-128x128", by the element type of most routed-expert bytes.
  std::string WeightFormat() const;

  /// Tells the kernel that the pages under `weight` will not be needed soon, e.g. after packing.
  /// A later read fetches them from the file again.
  void ReleasePages(const Weight& weight) const;

 private:
  struct Location {
    std::size_t file = 0;
    const TensorInfo* tensor = nullptr;
  };
  Checkpoint() = default;
  absl::Status OpenFiles();
  absl::Status OpenIndexed(const std::string& index_path);
  const Location* Locate(std::string_view name) const;
  absl::StatusOr<base::TensorView> FindScale(std::string_view name,
                                             const base::TensorView& tensor) const;
  /// Reads what `view` shows into new memory, and makes it show that.
  absl::StatusOr<base::Buffer> LoadTensor(base::TensorView& view) const;

  std::string directory_;
  std::string config_json_;
  ModelConfig config_;
  GenerationConfig generation_config_;
  std::vector<SafetensorsFile> files_;
  absl::flat_hash_map<std::string, Location> locations_;
};

}  // namespace moesaic::model
