#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/json_spec.h"

namespace moesaic::model {

/// One step that rewrites text before it is split. Immutable and thread-safe.
class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  /// Rewrites `text` (valid UTF-8) in place. Errors: ResourceExhausted from a regular expression.
  virtual absl::Status Apply(std::string& text) const = 0;
};

/// The "normalizer" of a tokenizer.json. Immutable and thread-safe.
class Normalizer {
 public:
  /// Null is the identity. Errors: Unimplemented naming an unknown type; InvalidArgument naming a
  /// bad key.
  static absl::StatusOr<Normalizer> Create(const JsonSpec& spec);

  absl::Status Apply(std::string& text) const;

 private:
  std::vector<std::shared_ptr<const NormalizerStep>> steps_;
};

}  // namespace moesaic::model
