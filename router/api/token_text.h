#pragma once

#include <cstdint>
#include <string>

#include "model/tokenizer.h"

namespace moesaic::router {

/// What one token contributes in the middle of a text.
struct TokenText {
  std::string text;   ///< Valid UTF-8; U+FFFD for bytes that are no character by themselves.
  std::string bytes;  ///< The bytes themselves.
};

/// The text of a token by itself, as log-probabilities list it: control tokens are spelled out, a
/// leading space is kept.
TokenText DescribeToken(const model::Tokenizer& tokenizer, std::int32_t id);

/// As the completions API spells a token: its text, or "bytes:\xe4\xbd" where it is no character by
/// itself, so that different tokens stay different.
std::string SpellToken(const TokenText& token);

}  // namespace moesaic::router
