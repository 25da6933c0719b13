#pragma once

#include <cstdint>
#include <string>

#include "model/tokenizer.h"

namespace moesaic::model {

/// Turns a growing list of token ids into text as it becomes final. The concatenation of what
/// Push and Finish return equals Tokenizer::Decode of all ids: bytes of a UTF-8 character that is
/// not complete yet are held back, and U+FFFD appears only once no later token can complete it.
/// Refers to the tokenizer, which must outlive it. Single-thread; copyable (to fork a sequence).
class StreamDecoder {
 public:
  /// skip_special_tokens: as Tokenizer::Decode.
  explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true);

  /// Appends a token and returns the text that became final, possibly empty. Ids outside the
  /// vocabulary contribute nothing. `spell_out`: a control token contributes its spelling even
  /// where such tokens are skipped.
  std::string Push(std::int32_t id, bool spell_out = false);
  /// Ends the sequence: returns what was held back. Push must not be called afterwards.
  std::string Finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_tokens_;
  TokenDecoder::State state_;
};

}  // namespace moesaic::model
