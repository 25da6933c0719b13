#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/json_spec.h"
#include "model/regex.h"

namespace moesaic::model {

/// A text and the pieces it is cut into; bytes between pieces are dropped. Value.
struct PreTokenizedText {
  std::string text;
  /// Ascending and disjoint; none is empty.
  std::vector<Span> pieces;
  /// The first piece begins where the input begins (and not after an added token).
  bool starts_input = true;

  std::string_view Piece(const Span& span) const {
    return std::string_view(text).substr(span.begin, span.end - span.begin);
  }
};

/// One step that cuts every piece further or rewrites it. Immutable and thread-safe.
class PreTokenizerStep {
 public:
  virtual ~PreTokenizerStep() = default;
  /// Errors: ResourceExhausted from a regular expression.
  virtual absl::Status Apply(PreTokenizedText& text) const = 0;
};

/// The "pre_tokenizer" of a tokenizer.json. Immutable and thread-safe.
class PreTokenizer {
 public:
  /// Null leaves the text whole. Errors: Unimplemented naming an unknown type; InvalidArgument
  /// naming a bad key.
  static absl::StatusOr<PreTokenizer> Create(const JsonSpec& spec);

  /// `text`: valid UTF-8. `starts_input`: no added token was cut off before it.
  absl::StatusOr<PreTokenizedText> Apply(std::string text, bool starts_input) const;

 private:
  std::vector<std::shared_ptr<const PreTokenizerStep>> steps_;
};

}  // namespace moesaic::model
