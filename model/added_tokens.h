#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "model/json_spec.h"
#include "model/regex.h"

namespace moesaic::model {

/// An entry of "added_tokens".
struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  /// Matches only where no word character touches it.
  bool single_word = false;
  /// Takes the white space on its left or right with it.
  bool lstrip = false;
  bool rstrip = false;
  /// Looked for after normalization, in its own normalized spelling.
  bool normalized = true;
  bool special = false;
};

/// Reads the array "added_tokens". Errors: InvalidArgument naming the entry.
absl::StatusOr<std::vector<AddedToken>> ParseAddedTokens(const JsonSpec& spec);

/// A part of a text: an added token or what lies between two.
struct AddedTokenPart {
  Span span;
  std::optional<std::int32_t> id;
};

/// Finds added tokens in text: leftmost, and of those the longest. Immutable and thread-safe.
class AddedTokenMatcher {
 public:
  /// Looks for `token.content` as `spelling`, if that is not empty.
  void Add(const AddedToken& token, std::string_view spelling);
  bool empty() const { return tokens_.empty(); }

  /// Covers `text` (valid UTF-8) by parts; none is empty unless a token is. When `match_special`
  /// is false, special tokens are found and left in the text.
  std::vector<AddedTokenPart> Split(std::string_view text, bool match_special) const;

 private:
  struct Node {
    /// Index into tokens_ of the token that ends here, or −1.
    std::int32_t token = -1;
  };

  /// The longest token that starts at `begin`, as (index, end).
  std::optional<std::pair<std::size_t, std::size_t>> LongestAt(std::string_view text,
                                                               std::size_t begin) const;

  std::vector<AddedToken> tokens_;
  /// A trie over bytes; node 0 is the root, edges are keyed by (node << 8 | byte).
  std::vector<Node> nodes_ = {Node()};
  absl::flat_hash_map<std::uint64_t, std::uint32_t> edges_;
  bool first_bytes_[256] = {};
};

}  // namespace moesaic::model
