#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/token_decoder.h"
#include "model/tokenizer_config.h"

namespace moesaic::model {

/// How text is turned into ids.
struct EncodeOptions {
  /// Add what the tokenizer puts around a sequence by itself (BOS for a raw completion). False for
  /// a rendered chat template, which writes its own.
  bool add_special_tokens = true;
  /// Recognise control tokens ("<|im_end|>") written in the text. False treats their spelling as
  /// plain text; added tokens that are not special are recognised in any case.
  bool parse_special_tokens = true;
};

/// A tokenizer as described by a Hugging Face tokenizer.json: byte-level or SentencePiece-style
/// BPE. Immutable and thread-safe.
class Tokenizer {
 public:
  /// Reads `directory`/tokenizer.json and, where present, tokenizer_config.json,
  /// chat_template.jinja and chat_template.json.
  /// Errors name the file and the key: NotFound without tokenizer.json, DataLoss for bytes that are
  /// not JSON, InvalidArgument for contents that do not fit together, Unimplemented for a
  /// component type this build does not know.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Load(const std::string& directory);
  /// As Load, from the texts of the two files; an empty config is an absent one.
  static absl::StatusOr<std::unique_ptr<Tokenizer>> Parse(std::string_view tokenizer_json,
                                                          std::string_view config_json = {});
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// Token ids of `text`. Time grows as n log n in the worst case.
  /// Errors: InvalidArgument when the text is not UTF-8, or holds a character the vocabulary can
  /// express neither as a token, nor as bytes, nor as its unknown token; ResourceExhausted when a
  /// split pattern exceeds its match limits on it.
  absl::StatusOr<std::vector<std::int32_t>> Encode(std::string_view text,
                                                   const EncodeOptions& options = {}) const;

  /// Text of `ids`; ids outside the vocabulary contribute nothing. With skip_special_tokens,
  /// control tokens contribute nothing either.
  std::string Decode(const std::vector<std::int32_t>& ids, bool skip_special_tokens = true) const;

  /// The spelling of a token in tokenizer.json (byte-level tokens in their printable form), or
  /// null when the id is not in the vocabulary.
  const std::string* IdToToken(std::int32_t id) const;
  std::optional<std::int32_t> TokenToId(std::string_view token) const;
  /// The bytes that the spelling of a token stands for, which need not be whole characters: of a
  /// byte token ("<0xE4>"), or in byte-level spelling. Nothing when it is neither, or the id is not
  /// in the vocabulary.
  std::optional<std::string> TokenBytes(std::int32_t id) const;

  /// One more than the largest id, added tokens included. Ids below it may be unused.
  std::size_t vocab_size() const;
  bool IsSpecial(std::int32_t id) const;
  /// Ids of the added tokens marked special, ascending.
  const std::vector<std::int32_t>& special_ids() const;
  /// Ids of the bos_token and eos_token of tokenizer_config.json, where known.
  std::optional<std::int32_t> bos_id() const;
  std::optional<std::int32_t> eos_id() const;
  const TokenizerConfig& config() const;

 private:
  friend class StreamDecoder;
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);

  TokenDecoder::State NewDecoderState() const;
  void DecodeNext(std::int32_t id, bool skip_special_tokens, TokenDecoder::State& state,
                  std::string& out) const;
  void DecodeRest(TokenDecoder::State& state, std::string& out) const;

  std::unique_ptr<const Impl> impl_;
};

}  // namespace moesaic::model
