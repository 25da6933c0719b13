#include "tests/fuzz/small_tokenizers.h"

#include <string>
#include <utility>

#include "base/check.h"
#include "nlohmann/json.hpp"

namespace moesaic::fuzz {
namespace {

using nlohmann::json;

// The split patterns of Llama 3 and Qwen (their tokenizer.json).
constexpr const char* kWordsPattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// A byte-level vocabulary: every byte in its printable form, and a few merges.
json ByteLevelTokenizer() {
  json tokenizer = json::parse(R"({
    "added_tokens": [
      {"id": 300, "content": "<s>", "special": true, "normalized": false},
      {"id": 301, "content": "<tool>", "special": false, "normalized": false},
      {"id": 302, "content": "<tool>x", "special": false, "normalized": true, "lstrip": true},
      {"id": 303, "content": "word", "single_word": true, "rstrip": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {}, "merges": ["a b", "c d", "ab cd", "Ġ a"]}})");
  json& vocab = tokenizer["model"]["vocab"];
  int next = 0;
  // The alphabet of GPT-2 (openai/gpt-2 src/encoder.py): printable bytes stand for themselves.
  int shifted = 0;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int code = printable ? byte : 256 + shifted++;
    std::string character;
    if (code < 0x80) {
      character = static_cast<char>(code);
    } else {
      character = {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
    }
    vocab[character] = next++;
  }
  for (const char* merged : {"ab", "cd", "abcd", "Ġa"}) vocab[merged] = next++;
  return tokenizer;
}

json WordsTokenizer() {
  json tokenizer = ByteLevelTokenizer();
  tokenizer["normalizer"] = {{"type", "NFC"}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern", {{"Regex", kWordsPattern}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "Digits"}, {"individual_digits", true}},
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}}};
  tokenizer["post_processor"] = json::parse(R"({
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [300], "tokens": ["<s>"]}}})");
  return tokenizer;
}

/// SentencePiece-style: a metaspace, byte fallback and an unknown token.
json SentencePieceTokenizer() {
  json tokenizer = json::parse(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false},
                     {"id": 1, "content": "</s>", "special": true, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [
      {"type": "Prepend", "prepend": "▁"},
      {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "decoder": {"type": "Sequence", "decoders": [
      {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
      {"type": "ByteFallback"}, {"type": "Fuse"},
      {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true,
              "vocab": {"<unk>": 0, "</s>": 1}, "merges": ["a b", "▁ ab"]}})");
  json& vocab = tokenizer["model"]["vocab"];
  int next = 2;
  constexpr const char* kHex = "0123456789ABCDEF";
  for (int byte = 0; byte < 240; ++byte) {  // the last sixteen are missing: they are unknown
    vocab[std::string("<0x") + kHex[byte / 16] + kHex[byte % 16] + ">"] = next++;
  }
  for (const char* piece : {"▁", "a", "b", "c", "ab", "▁ab", "é", "中"}) vocab[piece] = next++;
  return tokenizer;
}

json MetaspaceTokenizer() {
  json tokenizer = SentencePieceTokenizer();
  tokenizer["normalizer"] = {
      {"type", "Sequence"},
      {"normalizers",
       {{{"type", "Nmt"}}, {{"type", "NFKC"}}, {{"type", "Lowercase"}}, {{"type", "Strip"}}}}};
  tokenizer["pre_tokenizer"] = {
      {"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "first"}};
  tokenizer["decoder"] = {{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", true}};
  return tokenizer;
}

}  // namespace

std::vector<std::unique_ptr<model::Tokenizer>> SmallTokenizers() {
  std::vector<std::unique_ptr<model::Tokenizer>> tokenizers;
  for (const json& description :
       {ByteLevelTokenizer(), WordsTokenizer(), SentencePieceTokenizer(), MetaspaceTokenizer()}) {
    auto tokenizer = model::Tokenizer::Parse(description.dump());
    MOESAIC_CHECK(tokenizer.ok());
    tokenizers.push_back(*std::move(tokenizer));
  }
  return tokenizers;
}

}  // namespace moesaic::fuzz
