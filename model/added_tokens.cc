#include "model/added_tokens.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "model/char_class.h"
#include "model/token_id.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

// The search takes time in proportion to the longest token; real ones stay below 100 bytes.
constexpr std::size_t kMaxContentBytes = 1024;
constexpr std::size_t kMaxAddedTokens = std::size_t{1} << 20;
absl::StatusOr<AddedToken> ParseAddedToken(const JsonSpec& spec) {
  AddedToken token;
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t id, spec["id"].Int(0, kMaxTokenId));
  token.id = static_cast<std::int32_t>(id);
  MOESAIC_ASSIGN_OR_RETURN(token.content, spec["content"].String());
  if (token.content.size() > kMaxContentBytes) {
    return spec["content"].Error("longer than 1024 bytes");
  }
  MOESAIC_ASSIGN_OR_RETURN(token.special, spec["special"].BoolOr(false));
  MOESAIC_ASSIGN_OR_RETURN(token.normalized, spec["normalized"].BoolOr(!token.special));
  MOESAIC_ASSIGN_OR_RETURN(token.single_word, spec["single_word"].BoolOr(false));
  MOESAIC_ASSIGN_OR_RETURN(token.lstrip, spec["lstrip"].BoolOr(false));
  MOESAIC_ASSIGN_OR_RETURN(token.rstrip, spec["rstrip"].BoolOr(false));
  return token;
}

bool WordCharacterBefore(std::string_view text, std::size_t offset) {
  if (offset == 0) return false;
  std::size_t at = PreviousCharStart(text, offset);
  return IsWordCharacter(NextChar(text, at));
}

bool WordCharacterAt(std::string_view text, std::size_t offset) {
  return offset < text.size() && IsWordCharacter(NextChar(text, offset));
}

std::size_t SpaceBegin(std::string_view text, std::size_t lowest, std::size_t offset) {
  while (offset > lowest) {
    const std::size_t start = PreviousCharStart(text, offset);
    std::size_t at = start;
    if (!IsWhiteSpace(NextChar(text, at))) break;
    offset = start;
  }
  return offset;
}

std::size_t SpaceEnd(std::string_view text, std::size_t offset) {
  while (offset < text.size()) {
    std::size_t next = offset;
    if (!IsWhiteSpace(NextChar(text, next))) break;
    offset = next;
  }
  return offset;
}

}  // namespace

absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const JsonSpec& spec) {
  std::vector<AddedToken> tokens;
  if (spec.is_null()) return tokens;
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, spec.ArraySize());
  if (count > kMaxAddedTokens) return spec.Error("more than 2^20 added tokens");
  for (std::size_t i = 0; i < count; ++i) {
    MOESAIC_ASSIGN_OR_RETURN(AddedToken token, ParseAddedToken(spec.At(i)));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

void AddedTokenMatcher::Add(const AddedToken& token, std::string_view spelling) {
  if (spelling.empty()) return;
  std::uint32_t node = 0;
  for (const char c : spelling) {
    const std::uint64_t key = (std::uint64_t{node} << 8) | static_cast<unsigned char>(c);
    const auto [it, inserted] = edges_.try_emplace(key, static_cast<std::uint32_t>(nodes_.size()));
    node = it->second;
    if (inserted) nodes_.push_back(Node());
  }
  first_bytes_[static_cast<unsigned char>(spelling.front())] = true;
  nodes_[node].token = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

std::optional<std::pair<std::size_t, std::size_t>> AddedTokenMatcher::LongestAt(
    std::string_view text, std::size_t begin) const {
  if (!first_bytes_[static_cast<unsigned char>(text[begin])]) return std::nullopt;
  std::optional<std::pair<std::size_t, std::size_t>> longest;
  std::uint32_t node = 0;
  for (std::size_t i = begin; i < text.size(); ++i) {
    const auto it = edges_.find((std::uint64_t{node} << 8) | static_cast<unsigned char>(text[i]));
    if (it == edges_.end()) break;
    node = it->second;
    if (nodes_[node].token >= 0) {
      longest = {static_cast<std::size_t>(nodes_[node].token), i + 1};
    }
  }
  return longest;
}

std::vector<AddedTokenPart> AddedTokenMatcher::Split(std::string_view text,
                                                     bool match_special) const {
  std::vector<AddedTokenPart> parts;
  std::size_t covered = 0;
  for (std::size_t i = 0; i < text.size();) {
    const auto match = LongestAt(text, i);
    if (!match) {
      ++i;
      continue;
    }
    const AddedToken& token = tokens_[match->first];
    std::size_t begin = i;
    std::size_t end = match->second;
    i = end;
    if (token.special && !match_special) continue;
    if (token.single_word && (WordCharacterBefore(text, begin) || WordCharacterAt(text, end))) {
      continue;
    }
    // White space that an earlier token took stays with it.
    if (token.lstrip) begin = SpaceBegin(text, covered, begin);
    if (token.rstrip) end = SpaceEnd(text, end);
    if (covered < begin) parts.push_back({{covered, begin}, std::nullopt});
    parts.push_back({{begin, end}, token.id});
    covered = i = end;
  }
  if (covered != text.size()) parts.push_back({{covered, text.size()}, std::nullopt});
  return parts;
}

}  // namespace moesaic::model
