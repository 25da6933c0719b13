#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "model/jinja/lexer.h"

namespace moesaic::model::jinja {

/// A position in a list of tokens that ends with kEnd. Single-thread.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& next() const { return tokens_[at_ + (at_ + 1 < tokens_.size() ? 1 : 0)]; }
  int line() const { return current().line; }
  void Advance() {
    if (at_ + 1 < tokens_.size()) ++at_;
  }
  /// Advances over the operator or name, if it is the current token.
  bool SkipOperator(std::string_view op);
  bool SkipName(std::string_view name);
  // Errors: InvalidArgument with the line.
  absl::Status ExpectOperator(std::string_view op);
  absl::Status ExpectName(std::string_view name);
  absl::Status ExpectKind(TokenKind kind);
  absl::StatusOr<std::string> TakeName();

  absl::Status Error(std::string_view what) const;
  /// "unexpected 'x', expected …".
  absl::Status Unexpected(std::string_view expected) const;

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace moesaic::model::jinja
