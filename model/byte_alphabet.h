#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moesaic::model {

/// GPT-2's printable spelling of bytes: each byte as one character below U+0144.
/// Appends the spelling of `bytes`.
void AppendByteSpelling(std::string_view bytes, std::string& out);
/// The bytes that `text` spells, or nothing when a character of it spells no byte.
std::optional<std::string> BytesFromSpelling(std::string_view text);

/// The byte of a SentencePiece-style byte token, "<0xE4>", or nothing.
std::optional<char> ByteFromToken(std::string_view token);

}  // namespace moesaic::model
