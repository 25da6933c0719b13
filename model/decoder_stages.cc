#include "model/decoder_stages.h"

#include <optional>
#include <utility>

#include "base/open_suffix.h"
#include "base/status_macros.h"
#include "model/byte_alphabet.h"
#include "model/text_pattern.h"
#include "model/utf8.h"

namespace moesaic::model {

void DecoderOutput::Text(std::string_view text) {
  if (next_ == stages_.size()) {
    out_.append(text);
    return;
  }
  DecoderOutput rest(stages_, state_, next_ + 1, out_);
  stages_[next_]->Text(text, state_[next_], rest);
}

void DecoderOutput::EndPiece() {
  if (next_ == stages_.size()) return;
  DecoderOutput rest(stages_, state_, next_ + 1, out_);
  stages_[next_]->EndPiece(state_[next_], rest);
}

void DecoderOutput::EndSequence() {
  if (next_ == stages_.size()) return;
  DecoderOutput rest(stages_, state_, next_ + 1, out_);
  stages_[next_]->EndSequence(state_[next_], rest);
}

namespace {

/// Base of stages that look at a piece as a whole.
class WholePieceStage : public DecoderStage {
 public:
  void Text(std::string_view text, DecoderStageState& state, DecoderOutput&) const final {
    state.piece.append(text);
  }
  void EndPiece(DecoderStageState& state, DecoderOutput& out) const final {
    const std::string piece = std::exchange(state.piece, std::string());
    Piece(piece, state, out);
  }
  void EndSequence(DecoderStageState& state, DecoderOutput& out) const override {
    out.EndSequence();
    state = {};
  }

 private:
  virtual void Piece(std::string_view piece, DecoderStageState& state,
                     DecoderOutput& out) const = 0;
};

/// Joins the bytes that all pieces spell and reads them as UTF-8. held: bytes of an incomplete
/// character.
class ByteLevelStage final : public WholePieceStage {
  void Piece(std::string_view piece, DecoderStageState& state, DecoderOutput& out) const override {
    const std::optional<std::string> bytes = BytesFromSpelling(piece);
    state.held.append(bytes ? std::string_view(*bytes) : piece);
    Emit(false, state, out);
  }
  void EndSequence(DecoderStageState& state, DecoderOutput& out) const override {
    Emit(true, state, out);
    out.EndPiece();
    WholePieceStage::EndSequence(state, out);
  }
  static void Emit(bool at_end, DecoderStageState& state, DecoderOutput& out) {
    std::string text;
    state.held.erase(0, AppendLossy(state.held, at_end, text));
    if (!text.empty()) out.Text(text);
  }
};

/// Turns runs of "<0xHH>" into text. A run that is not UTF-8 as a whole becomes one U+FFFD per
/// byte, so nothing of it is final before it ends. held: bytes of the run.
class ByteFallbackStage final : public WholePieceStage {
  void Piece(std::string_view piece, DecoderStageState& state, DecoderOutput& out) const override {
    if (const std::optional<char> byte = ByteFromToken(piece)) {
      state.held.push_back(*byte);
      return;
    }
    EmitRun(state, out);
    out.Piece(piece);
  }
  void EndSequence(DecoderStageState& state, DecoderOutput& out) const override {
    EmitRun(state, out);
    WholePieceStage::EndSequence(state, out);
  }
  static void EmitRun(DecoderStageState& state, DecoderOutput& out) {
    if (state.held.empty()) return;
    if (IsValidUtf8(state.held)) {
      out.Piece(state.held);
    } else {
      for (std::size_t i = 0; i < state.held.size(); ++i) out.Piece(kReplacementCharacter);
    }
    state.held.clear();
  }
};

/// Makes one piece of all.
class FuseStage final : public DecoderStage {
  void Text(std::string_view text, DecoderStageState&, DecoderOutput& out) const override {
    out.Text(text);
  }
  void EndPiece(DecoderStageState&, DecoderOutput&) const override {}
  void EndSequence(DecoderStageState&, DecoderOutput& out) const override {
    out.EndPiece();
    out.EndSequence();
  }
};

/// Replaces a literal text. held: an end of the piece that may be the start of an occurrence.
class ReplaceTextStage final : public DecoderStage {
 public:
  ReplaceTextStage(std::string pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

 private:
  void Text(std::string_view text, DecoderStageState& state, DecoderOutput& out) const override {
    state.held.append(text);
    std::string ready;
    std::size_t at = 0;
    for (std::size_t found; (found = state.held.find(pattern_, at)) != std::string::npos;
         at = found + pattern_.size()) {
      ready.append(state.held, at, found - at).append(content_);
    }
    const std::size_t keep = base::OpenSuffix(std::string_view(state.held).substr(at), pattern_);
    ready.append(state.held, at, state.held.size() - keep - at);
    state.held.erase(0, state.held.size() - keep);
    if (!ready.empty()) out.Text(ready);
  }
  void EndPiece(DecoderStageState& state, DecoderOutput& out) const override {
    if (!state.held.empty()) out.Text(std::exchange(state.held, std::string()));
    out.EndPiece();
  }
  void EndSequence(DecoderStageState&, DecoderOutput& out) const override { out.EndSequence(); }

  std::string pattern_;
  std::string content_;
};

class ReplaceRegexStage final : public WholePieceStage {
 public:
  ReplaceRegexStage(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

 private:
  void Piece(std::string_view piece, DecoderStageState&, DecoderOutput& out) const override {
    std::string text(piece);
    // A piece on which the pattern exceeds its limits stays as it is: decoding has no error.
    ReplaceAll(pattern_, content_, text).IgnoreError();
    out.Piece(text);
  }

  Regex pattern_;
  std::string content_;
};

/// Cuts up to `start` leading and `stop` trailing copies of one character off every piece.
/// position: copies cut from the front, or kBody. held: trailing copies not sent yet.
class StripStage final : public DecoderStage {
 public:
  StripStage(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

 private:
  static constexpr std::size_t kBody = static_cast<std::size_t>(-1);

  void Text(std::string_view text, DecoderStageState& state, DecoderOutput& out) const override {
    while (state.position < start_ && !text.empty()) {
      if (text.substr(0, content_.size()) != content_) {
        state.position = kBody;
        break;
      }
      text.remove_prefix(content_.size());
      ++state.position;
    }
    if (text.empty()) return;
    state.position = kBody;
    state.held.append(text);
    std::size_t trailing = 0;
    while (trailing < stop_ && EndsWithCopies(state.held, trailing + 1)) ++trailing;
    const std::size_t ready = state.held.size() - trailing * content_.size();
    if (ready > 0) out.Text(state.held.substr(0, ready));
    state.held.erase(0, ready);
  }
  void EndPiece(DecoderStageState& state, DecoderOutput& out) const override {
    state = {};
    out.EndPiece();
  }
  void EndSequence(DecoderStageState&, DecoderOutput& out) const override { out.EndSequence(); }

  bool EndsWithCopies(std::string_view text, std::size_t copies) const {
    if (text.size() < copies * content_.size()) return false;
    return text.substr(text.size() - copies * content_.size(), content_.size()) == content_;
  }

  std::string content_;
  std::size_t start_;
  std::size_t stop_;
};

/// Turns the marker into spaces, or into nothing in the first piece. position: 1 after it.
class MetaspaceStage final : public DecoderStage {
 public:
  MetaspaceStage(std::string replacement, bool drop_in_first)
      : replacement_(std::move(replacement)), drop_in_first_(drop_in_first) {}

 private:
  void Text(std::string_view text, DecoderStageState& state, DecoderOutput& out) const override {
    const bool drop = drop_in_first_ && state.position == 0;
    std::string result;
    for (std::size_t i = 0; i < text.size();) {
      const std::size_t begin = i;
      NextChar(text, i);
      const std::string_view character = text.substr(begin, i - begin);
      if (character != replacement_) {
        result.append(character);
      } else if (!drop) {
        result.push_back(' ');
      }
    }
    if (!result.empty()) out.Text(result);
  }
  void EndPiece(DecoderStageState& state, DecoderOutput& out) const override {
    state.position = 1;
    out.EndPiece();
  }
  void EndSequence(DecoderStageState& state, DecoderOutput& out) const override {
    state = {};
    out.EndSequence();
  }

  std::string replacement_;
  bool drop_in_first_;
};

/// Joins the pieces by spaces. position: 1 after the first piece.
class SpaceJoinStage final : public WholePieceStage {
  void Piece(std::string_view piece, DecoderStageState& state, DecoderOutput& out) const override {
    if (std::exchange(state.position, 1) == 1) out.Text(" ");
    out.Text(piece);
  }
};

absl::Status AppendReplace(const JsonSpec& spec, DecoderStages& stages) {
  MOESAIC_ASSIGN_OR_RETURN(std::string content, spec["content"].String());
  MOESAIC_ASSIGN_OR_RETURN(Regex pattern, ParsePattern(spec["pattern"]));
  if (spec["pattern"].Has("String")) {
    MOESAIC_ASSIGN_OR_RETURN(std::string text, spec["pattern"]["String"].String());
    stages.push_back(std::make_shared<ReplaceTextStage>(std::move(text), std::move(content)));
  } else {
    stages.push_back(std::make_shared<ReplaceRegexStage>(std::move(pattern), std::move(content)));
  }
  return absl::OkStatus();
}

absl::Status AppendStrip(const JsonSpec& spec, DecoderStages& stages) {
  constexpr std::int64_t kMaxStripped = 1024;
  MOESAIC_ASSIGN_OR_RETURN(std::string content, ReadCharacter(spec["content"]));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t start, spec["start"].Int(0, kMaxStripped));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t stop, spec["stop"].Int(0, kMaxStripped));
  stages.push_back(std::make_shared<StripStage>(std::move(content), start, stop));
  return absl::OkStatus();
}

absl::Status AppendMetaspace(const JsonSpec& spec, DecoderStages& stages) {
  MOESAIC_ASSIGN_OR_RETURN(std::string replacement, ReadCharacter(spec["replacement"]));
  MOESAIC_ASSIGN_OR_RETURN(const bool add_prefix_space, spec["add_prefix_space"].BoolOr(true));
  MOESAIC_ASSIGN_OR_RETURN(const std::string scheme, spec["prepend_scheme"].StringOrEmpty());
  const bool prepended = scheme.empty() ? add_prefix_space : scheme != "never";
  stages.push_back(std::make_shared<MetaspaceStage>(std::move(replacement), prepended));
  return absl::OkStatus();
}

}  // namespace

absl::Status AppendDecoderStages(const JsonSpec& spec, int depth, DecoderStages& stages) {
  // Bounds the recursion from stage to stage.
  constexpr std::size_t kMaxStages = 64;
  if (stages.size() >= kMaxStages) return spec.Error("more than 64 decoders");
  MOESAIC_ASSIGN_OR_RETURN(const std::string type, spec.Type());
  if (type == "Sequence") {
    return spec["decoders"].ForEachComponent(depth, [&stages](const JsonSpec& part, int depth) {
      return AppendDecoderStages(part, depth, stages);
    });
  }
  if (type == "Replace") return AppendReplace(spec, stages);
  if (type == "Strip") return AppendStrip(spec, stages);
  if (type == "Metaspace") return AppendMetaspace(spec, stages);
  if (type == "ByteLevel") {
    stages.push_back(std::make_shared<ByteLevelStage>());
  } else if (type == "ByteFallback") {
    stages.push_back(std::make_shared<ByteFallbackStage>());
  } else if (type == "Fuse") {
    stages.push_back(std::make_shared<FuseStage>());
  } else {
    return spec["type"].UnknownType(type);
  }
  return absl::OkStatus();
}

std::shared_ptr<const DecoderStage> MakeSpaceJoin() { return std::make_shared<SpaceJoinStage>(); }

}  // namespace moesaic::model
