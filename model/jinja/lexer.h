#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace moesaic::model::jinja {

enum class TokenKind : std::uint8_t {
  kText,           ///< literal output
  kVariableBegin,  ///< {{
  kVariableEnd,    ///< }}
  kBlockBegin,     ///< {%
  kBlockEnd,       ///< %}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  /// Text, name, unescaped string or operator.
  std::string text;
  std::int64_t integer = 0;
  double real = 0;
  int line = 1;

  bool IsOperator(std::string_view op) const { return kind == TokenKind::kOperator && text == op; }
  bool IsName(std::string_view name) const { return kind == TokenKind::kName && text == name; }
};

/// Cuts a template into tokens, with trim_blocks and lstrip_blocks applied to the text between tags
/// and one trailing newline dropped (jinja2 3.1, lexer.py). The last token is kEnd.
/// Errors: InvalidArgument with the line.
absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source);

}  // namespace moesaic::model::jinja
