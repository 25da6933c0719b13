#include "model/jinja/token_stream.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::model::jinja {
namespace {

std::string Describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "a number";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kName:
    case TokenKind::kOperator:
      break;
  }
  return absl::StrCat("'", token.text, "'");
}

}  // namespace

bool TokenStream::SkipOperator(std::string_view op) {
  if (!current().IsOperator(op)) return false;
  Advance();
  return true;
}

bool TokenStream::SkipName(std::string_view name) {
  if (!current().IsName(name)) return false;
  Advance();
  return true;
}

absl::Status TokenStream::ExpectOperator(std::string_view op) {
  if (SkipOperator(op)) return absl::OkStatus();
  return Unexpected(absl::StrCat("'", base::ToAbsl(op), "'"));
}

absl::Status TokenStream::ExpectName(std::string_view name) {
  if (SkipName(name)) return absl::OkStatus();
  return Unexpected(absl::StrCat("'", base::ToAbsl(name), "'"));
}

absl::Status TokenStream::ExpectKind(TokenKind kind) {
  if (current().kind != kind) return Unexpected(Describe(Token{kind, {}, 0, 0, 0}));
  Advance();
  return absl::OkStatus();
}

absl::StatusOr<std::string> TokenStream::TakeName() {
  if (current().kind != TokenKind::kName) return Unexpected("a name");
  std::string name = current().text;
  Advance();
  return name;
}

absl::Status TokenStream::Error(std::string_view what) const {
  return absl::InvalidArgumentError(
      absl::StrCat("chat template line ", line(), ": ", base::ToAbsl(what)));
}

absl::Status TokenStream::Unexpected(std::string_view expected) const {
  return Error(
      absl::StrCat("unexpected ", Describe(current()), ", expected ", base::ToAbsl(expected)));
}

}  // namespace moesaic::model::jinja
