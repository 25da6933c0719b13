#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "model/json_spec.h"

namespace moesaic::model {

/// Ids that a tokenizer puts around a single sequence. Value.
struct SequenceFrame {
  std::vector<std::int32_t> prefix;
  std::vector<std::int32_t> suffix;
};

/// Reads the "post_processor" of a tokenizer.json; null is an empty frame.
/// Errors: Unimplemented naming an unknown type; InvalidArgument naming a bad key.
absl::StatusOr<SequenceFrame> ParsePostProcessor(const JsonSpec& spec);

}  // namespace moesaic::model
