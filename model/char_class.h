#pragma once

namespace moesaic::model {

/// Character classes as the reference tokenizer library's Rust code sees them (its regular
/// expressions go through Regex instead).

/// \w: letters, marks, decimal and letter numbers, connectors, joiners, circled letters.
bool IsWordCharacter(char32_t value);
/// General category P, or ASCII punctuation.
bool IsPunctuation(char32_t value);
/// General category N.
bool IsNumeric(char32_t value);
/// General category M.
bool IsMark(char32_t value);

}  // namespace moesaic::model
