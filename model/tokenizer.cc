#include "model/tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/added_tokens.h"
#include "model/bpe.h"
#include "model/byte_alphabet.h"
#include "model/json_spec.h"
#include "model/normalizer.h"
#include "model/post_processor.h"
#include "model/pre_tokenizer.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

// The largest published file (Gemma 3) has 33 MB.
constexpr std::size_t kMaxTokenizerBytes = std::size_t{256} << 20;

/// An entry of the table by id.
struct VocabularyEntry {
  bool used = false;
  bool special = false;
  std::string token;
  /// What decoding sees: the normalized spelling of an added token that is matched in it.
  std::string decoded;
};

/// Puts `id` at the front or the back of `ids` when `wanted`, takes it away when not.
void SetEdge(bool front, bool wanted, std::int32_t id, std::vector<std::int32_t>& ids) {
  const auto edge = front ? ids.begin() : (ids.empty() ? ids.end() : ids.end() - 1);
  const bool present = edge != ids.end() && *edge == id;
  if (wanted && !present) ids.insert(front ? ids.begin() : ids.end(), id);
  if (!wanted && present) ids.erase(edge);
}

}  // namespace

struct Tokenizer::Impl {
  TokenizerConfig config;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  TokenDecoder decoder;
  Bpe bpe;
  SequenceFrame frame;
  /// Tokens matched in the text as it comes, and those matched in its normalized form.
  AddedTokenMatcher raw_matcher;
  AddedTokenMatcher normalized_matcher;
  std::vector<VocabularyEntry> vocabulary;
  absl::flat_hash_map<std::string, std::int32_t> added_ids;
  std::vector<std::int32_t> special_ids;
  std::optional<std::int32_t> bos_id;
  std::optional<std::int32_t> eos_id;

  absl::Status Read(const JsonSpec& spec);
  void FillVocabulary();
  absl::Status AddToken(const AddedToken& token);
  absl::Status ApplyConfig(const std::string& file);

  VocabularyEntry& Entry(std::int32_t id) {
    if (vocabulary.size() <= static_cast<std::size_t>(id)) vocabulary.resize(id + 1);
    return vocabulary[id];
  }
  const VocabularyEntry* Find(std::int32_t id) const {
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary.size()) return nullptr;
    return vocabulary[id].used ? &vocabulary[id] : nullptr;
  }

  absl::Status EncodeText(std::string_view text, bool starts_input, bool match_special,
                          std::vector<std::int32_t>& ids) const;
  absl::Status EncodeNormalized(std::string text, bool starts_input,
                                std::vector<std::int32_t>& ids) const;

  static absl::StatusOr<std::unique_ptr<Tokenizer>> Build(std::string_view tokenizer_json,
                                                          const std::string& file,
                                                          TokenizerConfig config,
                                                          const std::string& config_file);
};

absl::Status Tokenizer::Impl::Read(const JsonSpec& spec) {
  if (!spec.value().is_object()) return spec.Error("expected an object");
  MOESAIC_ASSIGN_OR_RETURN(normalizer, Normalizer::Create(spec["normalizer"]));
  MOESAIC_ASSIGN_OR_RETURN(pre_tokenizer, PreTokenizer::Create(spec["pre_tokenizer"]));
  MOESAIC_ASSIGN_OR_RETURN(decoder, TokenDecoder::Create(spec["decoder"]));
  MOESAIC_ASSIGN_OR_RETURN(frame, ParsePostProcessor(spec["post_processor"]));
  MOESAIC_ASSIGN_OR_RETURN(bpe, Bpe::Create(spec["model"]));
  FillVocabulary();
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<AddedToken> added,
                           ParseAddedTokens(spec["added_tokens"]));
  for (const AddedToken& token : added) MOESAIC_RETURN_IF_ERROR(AddToken(token));
  std::sort(special_ids.begin(), special_ids.end());
  for (const auto* ids : {&frame.prefix, &frame.suffix}) {
    for (const std::int32_t id : *ids) {
      if (Find(id) == nullptr) {
        return spec["post_processor"].Error(absl::StrCat("id ", id, " is not in the vocabulary"));
      }
    }
  }
  return absl::OkStatus();
}

void Tokenizer::Impl::FillVocabulary() {
  for (const auto& [token, id] : bpe.vocabulary()) {
    VocabularyEntry& entry = Entry(id);
    entry.used = true;
    entry.token = entry.decoded = token;
  }
}

absl::Status Tokenizer::Impl::AddToken(const AddedToken& token) {
  if (token.content.empty()) return absl::OkStatus();
  // A token of the vocabulary keeps its id, whatever the entry says.
  AddedToken placed = token;
  placed.id = bpe.TokenToId(token.content).value_or(token.id);
  std::string spelling = token.content;
  if (token.normalized) MOESAIC_RETURN_IF_ERROR(normalizer.Apply(spelling));
  if (!added_ids.try_emplace(token.content, placed.id).second) return absl::OkStatus();
  VocabularyEntry& entry = Entry(placed.id);
  if (token.special && !entry.special) special_ids.push_back(placed.id);
  entry.used = true;
  entry.special = entry.special || token.special;
  entry.token = token.content;
  entry.decoded = spelling;
  (token.normalized ? normalized_matcher : raw_matcher).Add(placed, spelling);
  return absl::OkStatus();
}

absl::Status Tokenizer::Impl::ApplyConfig(const std::string& file) {
  const auto find = [&](const std::optional<std::string>& token) -> std::optional<std::int32_t> {
    if (!token) return std::nullopt;
    const auto it = added_ids.find(*token);
    return it == added_ids.end() ? bpe.TokenToId(*token) : it->second;
  };
  bos_id = find(config.bos_token);
  eos_id = find(config.eos_token);
  if (config.add_bos_token.value_or(false) && !bos_id) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": bos_token: add_bos_token needs a token of the vocabulary"));
  }
  if (config.add_eos_token.value_or(false) && !eos_id) {
    return absl::InvalidArgumentError(
        absl::StrCat(file, ": eos_token: add_eos_token needs a token of the vocabulary"));
  }
  // These flags, where present, overrule what the post-processor does.
  if (config.add_bos_token && bos_id) SetEdge(true, *config.add_bos_token, *bos_id, frame.prefix);
  if (config.add_eos_token && eos_id) SetEdge(false, *config.add_eos_token, *eos_id, frame.suffix);
  return absl::OkStatus();
}

absl::Status Tokenizer::Impl::EncodeNormalized(std::string text, bool starts_input,
                                               std::vector<std::int32_t>& ids) const {
  MOESAIC_ASSIGN_OR_RETURN(const PreTokenizedText split,
                           pre_tokenizer.Apply(std::move(text), starts_input));
  for (const Span& piece : split.pieces) {
    MOESAIC_RETURN_IF_ERROR(bpe.Encode(split.Piece(piece), ids));
  }
  return absl::OkStatus();
}

absl::Status Tokenizer::Impl::EncodeText(std::string_view text, bool starts_input,
                                         bool match_special, std::vector<std::int32_t>& ids) const {
  std::string normalized(text);
  MOESAIC_RETURN_IF_ERROR(normalizer.Apply(normalized));
  for (const AddedTokenPart& part : normalized_matcher.Split(normalized, match_special)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    MOESAIC_RETURN_IF_ERROR(
        EncodeNormalized(normalized.substr(part.span.begin, part.span.end - part.span.begin),
                         starts_input && part.span.begin == 0, ids));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Impl::Build(std::string_view tokenizer_json,
                                                                  const std::string& file,
                                                                  TokenizerConfig config,
                                                                  const std::string& config_file) {
  const nlohmann::json json =
      nlohmann::json::parse(tokenizer_json, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::DataLossError(absl::StrCat(file, ": not valid JSON"));
  auto impl = std::make_unique<Impl>();
  impl->config = std::move(config);
  MOESAIC_RETURN_IF_ERROR(impl->Read(JsonSpec(json, file)));
  MOESAIC_RETURN_IF_ERROR(impl->ApplyConfig(config_file));
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(impl)));
}

Tokenizer::Tokenizer(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}

Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Load(const std::string& directory) {
  const std::string file = directory + "/tokenizer.json";
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file, kMaxTokenizerBytes));
  MOESAIC_ASSIGN_OR_RETURN(TokenizerConfig config, LoadTokenizerConfig(directory));
  return Impl::Build(text, file, std::move(config), directory + "/tokenizer_config.json");
}

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::Parse(std::string_view tokenizer_json,
                                                            std::string_view config_json) {
  TokenizerConfig config;
  if (!config_json.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(config, ParseTokenizerConfig(config_json, "tokenizer_config.json"));
  }
  return Impl::Build(tokenizer_json, "tokenizer.json", std::move(config), "tokenizer_config.json");
}

absl::StatusOr<std::vector<std::int32_t>> Tokenizer::Encode(std::string_view text,
                                                            const EncodeOptions& options) const {
  if (!IsValidUtf8(text)) return absl::InvalidArgumentError("the text is not valid UTF-8");
  std::vector<std::int32_t> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = impl_->frame.prefix;
  for (const AddedTokenPart& part : impl_->raw_matcher.Split(text, options.parse_special_tokens)) {
    if (part.id) {
      ids.push_back(*part.id);
      continue;
    }
    MOESAIC_RETURN_IF_ERROR(
        impl_->EncodeText(text.substr(part.span.begin, part.span.end - part.span.begin),
                          part.span.begin == 0, options.parse_special_tokens, ids));
  }
  if (options.add_special_tokens) {
    ids.insert(ids.end(), impl_->frame.suffix.begin(), impl_->frame.suffix.end());
  }
  return ids;
}

std::string Tokenizer::Decode(const std::vector<std::int32_t>& ids,
                              bool skip_special_tokens) const {
  std::string text;
  TokenDecoder::State state = NewDecoderState();
  for (const std::int32_t id : ids) DecodeNext(id, skip_special_tokens, state, text);
  DecodeRest(state, text);
  return text;
}

TokenDecoder::State Tokenizer::NewDecoderState() const { return impl_->decoder.NewState(); }

void Tokenizer::DecodeNext(std::int32_t id, bool skip_special_tokens, TokenDecoder::State& state,
                           std::string& out) const {
  const VocabularyEntry* entry = impl_->Find(id);
  if (entry == nullptr || (skip_special_tokens && entry->special)) return;
  impl_->decoder.Push(entry->decoded, state, out);
}

void Tokenizer::DecodeRest(TokenDecoder::State& state, std::string& out) const {
  impl_->decoder.Finish(state, out);
}

const std::string* Tokenizer::IdToToken(std::int32_t id) const {
  const VocabularyEntry* entry = impl_->Find(id);
  return entry == nullptr ? nullptr : &entry->token;
}

std::optional<std::int32_t> Tokenizer::TokenToId(std::string_view token) const {
  const auto it = impl_->added_ids.find(base::ToAbsl(token));
  if (it != impl_->added_ids.end()) return it->second;
  return impl_->bpe.TokenToId(token);
}

std::optional<std::string> Tokenizer::TokenBytes(std::int32_t id) const {
  const VocabularyEntry* entry = impl_->Find(id);
  if (entry == nullptr) return std::nullopt;
  if (const std::optional<char> byte = ByteFromToken(entry->token)) return std::string(1, *byte);
  return BytesFromSpelling(entry->token);
}

std::size_t Tokenizer::vocab_size() const { return impl_->vocabulary.size(); }

bool Tokenizer::IsSpecial(std::int32_t id) const {
  const VocabularyEntry* entry = impl_->Find(id);
  return entry != nullptr && entry->special;
}

const std::vector<std::int32_t>& Tokenizer::special_ids() const { return impl_->special_ids; }
std::optional<std::int32_t> Tokenizer::bos_id() const { return impl_->bos_id; }
std::optional<std::int32_t> Tokenizer::eos_id() const { return impl_->eos_id; }
const TokenizerConfig& Tokenizer::config() const { return impl_->config; }

}  // namespace moesaic::model
