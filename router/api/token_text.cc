#include "router/api/token_text.h"

#include "absl/strings/str_format.h"
#include "model/utf8.h"

namespace moesaic::router {
namespace {

/// The text `id` adds behind another token: decoded by itself it would lose its leading space in
/// SentencePiece-style vocabularies. A token decoded twice in a row is its own other token.
std::string TextInContext(const model::Tokenizer& tokenizer, std::int32_t id) {
  const std::string twice = tokenizer.Decode({id, id}, /*skip_special_tokens=*/false);
  const std::string once = tokenizer.Decode({id}, /*skip_special_tokens=*/false);
  if (twice.size() < once.size() || twice.compare(0, once.size(), once) != 0) return once;
  return twice.substr(once.size());
}

}  // namespace

TokenText DescribeToken(const model::Tokenizer& tokenizer, std::int32_t id) {
  if (tokenizer.IdToToken(id) == nullptr) return {};
  TokenText token;
  token.text = TextInContext(tokenizer, id);
  token.bytes = token.text;
  if (token.text.find(model::kReplacementCharacter) != std::string::npos) {
    token.bytes = tokenizer.TokenBytes(id).value_or(token.text);
  }
  return token;
}

std::string SpellToken(const TokenText& token) {
  if (token.text == token.bytes) return token.text;
  std::string spelled = "bytes:";
  for (unsigned char byte : token.bytes) absl::StrAppendFormat(&spelled, "\\x%02x", byte);
  return spelled;
}

}  // namespace moesaic::router
