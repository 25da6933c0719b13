#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/json_spec.h"

namespace moesaic::model {

/// Byte-pair encoding: starts from characters and joins the neighbours of lowest merge rank,
/// leftmost first, until no merge applies (Sennrich et al. 2016, section 3.2). Immutable and
/// thread-safe.
class Bpe {
 public:
  /// Reads the "model" of a tokenizer.json. Errors name the key: Unimplemented for another model
  /// type or for dropout, InvalidArgument for ids or merges that do not fit the vocabulary.
  static absl::StatusOr<Bpe> Create(const JsonSpec& spec);

  /// Appends the tokens of one piece of text (valid UTF-8). Takes n log n time in its length.
  /// Errors: InvalidArgument for a character that neither the vocabulary, nor bytes, nor an unknown
  /// token can express.
  absl::Status Encode(std::string_view piece, std::vector<std::int32_t>& ids) const;

  std::optional<std::int32_t> TokenToId(std::string_view token) const;
  const absl::flat_hash_map<std::string, std::int32_t>& vocabulary() const { return vocabulary_; }

 private:
  struct Merge {
    std::int32_t rank = 0;
    std::int32_t id = 0;
  };
  struct Options {
    std::string unknown_token;
    std::string continuing_subword_prefix;
    std::string end_of_word_suffix;
    bool fuse_unknown = false;
    bool byte_fallback = false;
    bool ignore_merges = false;
  };
  class MergeQueue;

  static std::uint64_t PairKey(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
           static_cast<std::uint32_t>(right);
  }

  absl::Status ReadOptions(const JsonSpec& spec);
  absl::Status ReadVocabulary(const JsonSpec& spec);
  absl::Status ReadMerges(const JsonSpec& spec);
  absl::Status AddMerge(const JsonSpec& spec, std::string_view left, std::string_view right,
                        std::int32_t rank);
  absl::Status FindSpecialIds(const JsonSpec& spec);

  const Merge* FindMerge(std::int32_t left, std::int32_t right) const;
  /// The id of one character at its place in a piece, with the affixes of the model.
  std::optional<std::int32_t> CharacterId(std::string_view character, bool first, bool last) const;
  /// One symbol per character, before any merge.
  absl::Status InitialSymbols(std::string_view piece, std::vector<std::int32_t>& symbols) const;

  Options options_;
  absl::flat_hash_map<std::string, std::int32_t> vocabulary_;
  absl::flat_hash_map<std::uint64_t, Merge> merges_;
  std::optional<std::int32_t> unknown_id_;
  /// Ids of "<0x00>" … "<0xFF>", when the model falls back to bytes and has them.
  std::array<std::optional<std::int32_t>, 256> byte_ids_;
};

}  // namespace moesaic::model
