#include "tests/unit/router/api/byte_tokenizer.h"

#include <utility>

#include "base/check.h"
#include "model/byte_alphabet.h"
#include "nlohmann/json.hpp"

namespace moesaic::router {

namespace {

nlohmann::json ControlToken(std::int32_t id, const std::string& content) {
  return {{"id", id},        {"content", content},  {"single_word", false}, {"lstrip", false},
          {"rstrip", false}, {"normalized", false}, {"special", true}};
}

}  // namespace

std::unique_ptr<model::Tokenizer> MakeByteTokenizer(
    const std::vector<std::string>& control_tokens) {
  nlohmann::json vocab = nlohmann::json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string spelling;
    model::AppendByteSpelling(std::string(1, static_cast<char>(byte)), spelling);
    vocab[spelling] = byte;
  }
  nlohmann::json added = {ControlToken(kEndToken, "<|end|>")};
  for (const std::string& token : control_tokens) {
    added.push_back(ControlToken(kEndToken + static_cast<std::int32_t>(added.size()), token));
  }
  const nlohmann::json byte_level = {{"type", "ByteLevel"},
                                     {"add_prefix_space", false},
                                     {"trim_offsets", true},
                                     {"use_regex", true}};
  const nlohmann::json tokenizer = {{"version", "1.0"},
                                    {"truncation", nullptr},
                                    {"padding", nullptr},
                                    {"added_tokens", std::move(added)},
                                    {"normalizer", nullptr},
                                    {"pre_tokenizer", byte_level},
                                    {"post_processor", nullptr},
                                    {"decoder", byte_level},
                                    {"model",
                                     {{"type", "BPE"},
                                      {"dropout", nullptr},
                                      {"unk_token", nullptr},
                                      {"continuing_subword_prefix", nullptr},
                                      {"end_of_word_suffix", nullptr},
                                      {"fuse_unk", false},
                                      {"byte_fallback", false},
                                      {"vocab", std::move(vocab)},
                                      {"merges", nlohmann::json::array()}}}};
  auto parsed = model::Tokenizer::Parse(tokenizer.dump());
  MOESAIC_CHECK(parsed.ok());
  return *std::move(parsed);
}

std::vector<std::int32_t> ByteIds(std::string_view text) {
  std::vector<std::int32_t> ids;
  for (unsigned char byte : text) ids.push_back(byte);
  return ids;
}

}  // namespace moesaic::router
