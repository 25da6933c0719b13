#include "model/bpe.h"

#include <algorithm>
#include <queue>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/token_id.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kMaxMerges = std::size_t{1} << 24;

absl::StatusOr<std::pair<std::string_view, std::string_view>> ReadMerge(const JsonSpec& list,
                                                                        std::size_t index) {
  const nlohmann::json& merge = list.value()[index];
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return std::pair<std::string_view, std::string_view>(merge[0].get_ref<const std::string&>(),
                                                         merge[1].get_ref<const std::string&>());
  }
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string_view::npos && text.find(' ', space + 1) == std::string_view::npos) {
      return std::pair(text.substr(0, space), text.substr(space + 1));
    }
  }
  return list.At(index).Error("expected \"left right\" or [\"left\", \"right\"]");
}

}  // namespace

/// The symbols of one piece as a doubly linked list, and the merges that apply to neighbours in a
/// heap. Entries that a later merge made stale are recognised when they come up.
class Bpe::MergeQueue {
 public:
  MergeQueue(const Bpe& model, const std::vector<std::int32_t>& ids) : model_(model) {
    const std::int32_t count = static_cast<std::int32_t>(ids.size());
    symbols_.reserve(ids.size());
    for (std::int32_t i = 0; i < count; ++i) {
      symbols_.push_back({ids[i], i - 1, i + 1 < count ? i + 1 : kNone});
    }
    std::vector<Candidate> candidates;
    for (std::int32_t i = 0; i + 1 < count; ++i) {
      const Merge* merge = model_.FindMerge(ids[i], ids[i + 1]);
      if (merge != nullptr) candidates.push_back({merge->rank, i, merge->id});
    }
    heap_ = Heap(LaterFirst(), std::move(candidates));
  }

  void Run() {
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      if (StillApplies(top)) Apply(top);
    }
  }

  void AppendIds(std::vector<std::int32_t>& out) const {
    for (std::int32_t i = 0; i != kNone; i = symbols_[i].next) out.push_back(symbols_[i].id);
  }

 private:
  static constexpr std::int32_t kNone = -1;
  static constexpr std::int32_t kMergedAway = -1;

  struct Symbol {
    std::int32_t id;
    std::int32_t previous;
    std::int32_t next;
  };
  struct Candidate {
    std::int32_t rank;
    std::int32_t position;
    std::int32_t id;
  };
  struct LaterFirst {
    bool operator()(const Candidate& a, const Candidate& b) const {
      return std::tie(a.rank, a.position) > std::tie(b.rank, b.position);
    }
  };
  using Heap = std::priority_queue<Candidate, std::vector<Candidate>, LaterFirst>;

  bool StillApplies(const Candidate& candidate) const {
    const Symbol& left = symbols_[candidate.position];
    if (left.id == kMergedAway || left.next == kNone) return false;
    const Merge* merge = model_.FindMerge(left.id, symbols_[left.next].id);
    return merge != nullptr && merge->id == candidate.id;
  }

  void Apply(const Candidate& candidate) {
    Symbol& left = symbols_[candidate.position];
    Symbol& right = symbols_[left.next];
    left.id = candidate.id;
    left.next = right.next;
    right.id = kMergedAway;
    if (left.next != kNone) symbols_[left.next].previous = candidate.position;
    if (left.previous != kNone) Consider(left.previous);
    if (left.next != kNone) Consider(candidate.position);
  }

  void Consider(std::int32_t position) {
    const Symbol& left = symbols_[position];
    const Merge* merge = model_.FindMerge(left.id, symbols_[left.next].id);
    if (merge != nullptr) heap_.push({merge->rank, position, merge->id});
  }

  const Bpe& model_;
  std::vector<Symbol> symbols_;
  Heap heap_;
};

absl::StatusOr<Bpe> Bpe::Create(const JsonSpec& spec) {
  // Files older than the key "type" hold BPE as well.
  if (!spec.value().is_object()) return spec.Error("expected an object");
  if (spec.Has("type")) {
    MOESAIC_ASSIGN_OR_RETURN(const std::string type, spec.Type());
    if (type != "BPE") return spec["type"].UnknownType(type);
  }
  Bpe bpe;
  MOESAIC_RETURN_IF_ERROR(bpe.ReadOptions(spec));
  MOESAIC_RETURN_IF_ERROR(bpe.ReadVocabulary(spec["vocab"]));
  MOESAIC_RETURN_IF_ERROR(bpe.ReadMerges(spec["merges"]));
  MOESAIC_RETURN_IF_ERROR(bpe.FindSpecialIds(spec));
  return bpe;
}

absl::Status Bpe::ReadOptions(const JsonSpec& spec) {
  const nlohmann::json& dropout = spec["dropout"].value();
  if (!dropout.is_null() && !(dropout.is_number() && dropout.get<double>() == 0.0)) {
    return absl::UnimplementedError(absl::StrCat(spec["dropout"].path(), ": not supported"));
  }
  MOESAIC_ASSIGN_OR_RETURN(options_.unknown_token, spec["unk_token"].StringOrEmpty());
  MOESAIC_ASSIGN_OR_RETURN(options_.continuing_subword_prefix,
                           spec["continuing_subword_prefix"].StringOrEmpty());
  MOESAIC_ASSIGN_OR_RETURN(options_.end_of_word_suffix, spec["end_of_word_suffix"].StringOrEmpty());
  MOESAIC_ASSIGN_OR_RETURN(options_.fuse_unknown, spec["fuse_unk"].BoolOr(false));
  MOESAIC_ASSIGN_OR_RETURN(options_.byte_fallback, spec["byte_fallback"].BoolOr(false));
  MOESAIC_ASSIGN_OR_RETURN(options_.ignore_merges, spec["ignore_merges"].BoolOr(false));
  return absl::OkStatus();
}

absl::Status Bpe::ReadVocabulary(const JsonSpec& spec) {
  if (!spec.value().is_object()) return spec.Error("expected an object");
  vocabulary_.reserve(spec.value().size());
  for (const auto& [token, id] : spec.value().items()) {
    // The path is built for errors only: it would double the time to load a large vocabulary.
    if (!id.is_number_unsigned() ||
        id.get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxTokenId)) {
      return spec.Error(absl::StrCat("id of token '", token, "' is not in [0, 2^22)"));
    }
    vocabulary_.emplace(token, static_cast<std::int32_t>(id.get<std::uint64_t>()));
  }
  return absl::OkStatus();
}

absl::Status Bpe::ReadMerges(const JsonSpec& spec) {
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, spec.ArraySize());
  if (count > kMaxMerges) return spec.Error("more than 2^24 merges");
  merges_.reserve(count);
  std::int32_t rank = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const nlohmann::json& merge = spec.value()[i];
    // A merges.txt pasted into the list keeps its first line.
    if (merge.is_string() && absl::StartsWith(merge.get_ref<const std::string&>(), "#version")) {
      continue;
    }
    MOESAIC_ASSIGN_OR_RETURN(const auto pair, ReadMerge(spec, i));
    MOESAIC_RETURN_IF_ERROR(AddMerge(spec, pair.first, pair.second, rank++));
  }
  return absl::OkStatus();
}

absl::Status Bpe::AddMerge(const JsonSpec& spec, std::string_view left, std::string_view right,
                           std::int32_t rank) {
  const auto find = [&](std::string_view token) -> absl::StatusOr<std::int32_t> {
    if (const std::optional<std::int32_t> id = TokenToId(token)) return *id;
    return spec.Error(absl::StrCat("merge ", rank, " needs token '", base::ToAbsl(token),
                                   "', which is not in the vocabulary"));
  };
  MOESAIC_ASSIGN_OR_RETURN(const std::int32_t left_id, find(left));
  MOESAIC_ASSIGN_OR_RETURN(const std::int32_t right_id, find(right));
  std::string_view tail = right;
  tail.remove_prefix(std::min(tail.size(), options_.continuing_subword_prefix.size()));
  MOESAIC_ASSIGN_OR_RETURN(const std::int32_t id,
                           find(absl::StrCat(base::ToAbsl(left), base::ToAbsl(tail))));
  merges_[PairKey(left_id, right_id)] = {rank, id};
  return absl::OkStatus();
}

absl::Status Bpe::FindSpecialIds(const JsonSpec& spec) {
  if (!options_.unknown_token.empty()) {
    unknown_id_ = TokenToId(options_.unknown_token);
    if (!unknown_id_) return spec["unk_token"].Error("not in the vocabulary");
  }
  if (!options_.byte_fallback) return absl::OkStatus();
  for (int b = 0; b < 256; ++b) byte_ids_[b] = TokenToId(absl::StrFormat("<0x%02X>", b));
  return absl::OkStatus();
}

std::optional<std::int32_t> Bpe::TokenToId(std::string_view token) const {
  const auto it = vocabulary_.find(base::ToAbsl(token));
  if (it == vocabulary_.end()) return std::nullopt;
  return it->second;
}

const Bpe::Merge* Bpe::FindMerge(std::int32_t left, std::int32_t right) const {
  const auto it = merges_.find(PairKey(left, right));
  return it == merges_.end() ? nullptr : &it->second;
}

std::optional<std::int32_t> Bpe::CharacterId(std::string_view character, bool first,
                                             bool last) const {
  const bool prefixed = !first && !options_.continuing_subword_prefix.empty();
  const bool suffixed = last && !options_.end_of_word_suffix.empty();
  if (!prefixed && !suffixed) return TokenToId(character);
  std::string token = prefixed ? options_.continuing_subword_prefix : std::string();
  token.append(character);
  if (suffixed) token.append(options_.end_of_word_suffix);
  return TokenToId(token);
}

absl::Status Bpe::InitialSymbols(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  // An unknown token waits for the next known character, so that fusing can join unknown ones that
  // only bytes separate; this is the reference's order too.
  bool unknown_pending = false;
  for (std::size_t i = 0; i < piece.size();) {
    const std::size_t begin = i;
    NextChar(piece, i);
    const std::string_view character = piece.substr(begin, i - begin);
    if (const auto id = CharacterId(character, begin == 0, i == piece.size())) {
      if (std::exchange(unknown_pending, false)) symbols.push_back(*unknown_id_);
      symbols.push_back(*id);
      continue;
    }
    const bool as_bytes = std::all_of(character.begin(), character.end(), [&](char c) {
      return byte_ids_[static_cast<unsigned char>(c)].has_value();
    });
    if (as_bytes) {
      for (const char c : character) symbols.push_back(*byte_ids_[static_cast<unsigned char>(c)]);
    } else if (unknown_id_) {
      if (unknown_pending && !options_.fuse_unknown) symbols.push_back(*unknown_id_);
      unknown_pending = true;
    } else {
      return absl::InvalidArgumentError(
          "the text holds a character that the tokenizer cannot express");
    }
  }
  if (unknown_pending) symbols.push_back(*unknown_id_);
  return absl::OkStatus();
}

absl::Status Bpe::Encode(std::string_view piece, std::vector<std::int32_t>& ids) const {
  if (piece.empty()) return absl::OkStatus();
  if (options_.ignore_merges) {
    if (const std::optional<std::int32_t> id = TokenToId(piece)) {
      ids.push_back(*id);
      return absl::OkStatus();
    }
  }
  std::vector<std::int32_t> symbols;
  symbols.reserve(piece.size());
  MOESAIC_RETURN_IF_ERROR(InitialSymbols(piece, symbols));
  MergeQueue queue(*this, symbols);
  queue.Run();
  queue.AppendIds(ids);
  return absl::OkStatus();
}

}  // namespace moesaic::model
