#include "router/api/token_text.h"

#include <optional>
#include <string_view>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "base/strings.h"
#include "model/byte_alphabet.h"
#include "model/stream_decoder.h"
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

/// The bytes behind a token that is not a whole character: "<0xE4>", or GPT-2's byte spelling.
std::optional<std::string> BytesOfSpelling(std::string_view spelling) {
  if (spelling.size() == 6 && spelling.starts_with("<0x") && spelling.back() == '>') {
    int byte = 0;
    if (absl::SimpleHexAtoi(base::ToAbsl(spelling.substr(3, 2)), &byte)) {
      return std::string(1, static_cast<char>(byte));
    }
  }
  return model::BytesFromSpelling(spelling);
}

}  // namespace

TokenText DescribeToken(const model::Tokenizer& tokenizer, std::int32_t id) {
  const std::string* spelling = tokenizer.IdToToken(id);
  if (spelling == nullptr) return {};
  TokenText token;
  token.text = TextInContext(tokenizer, id);
  token.bytes = token.text;
  if (token.text.find(model::kReplacementCharacter) != std::string::npos) {
    token.bytes = BytesOfSpelling(*spelling).value_or(token.text);
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
