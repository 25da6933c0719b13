#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/json_spec.h"

namespace moesaic::model {

/// What one decoder stage carries from one piece of text to the next. Copyable value.
struct DecoderStageState {
  /// The current piece so far, for stages that need it whole.
  std::string piece;
  /// Text or bytes of finished pieces that later input may still change.
  std::string held;
  /// Progress within the current piece or the sequence; its meaning is the stage's own.
  std::size_t position = 0;
};

class DecoderStage;

/// The "decoder" of a tokenizer.json as a chain of transducers from token spellings to text, fed
/// one token at a time. Immutable and thread-safe; the place in a sequence lives in a State.
class TokenDecoder {
 public:
  using State = std::vector<DecoderStageState>;

  /// spec: the value of the key "decoder"; null joins the tokens by spaces, as the reference does.
  /// Errors: Unimplemented naming an unknown type, InvalidArgument naming a bad key.
  static absl::StatusOr<TokenDecoder> Create(const JsonSpec& spec);

  State NewState() const { return State(stages_.size()); }
  /// Appends the text that became final to `out`: text is final as soon as no later token can
  /// change it. `token`: valid UTF-8.
  void Push(std::string_view token, State& state, std::string& out) const;
  /// Appends what was held back; the sequence is over.
  void Finish(State& state, std::string& out) const;

 private:
  std::vector<std::shared_ptr<const DecoderStage>> stages_;
};

}  // namespace moesaic::model
