#include "model/pre_tokenizer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/byte_alphabet.h"
#include "model/char_class.h"
#include "model/split_behavior.h"
#include "model/text_pattern.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

using PreTokenizerStepPtr = std::shared_ptr<const PreTokenizerStep>;

// openai/gpt-2 src/encoder.py.
constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// \w of Rust's regex crate also holds the joiners.
constexpr std::string_view kWordPattern = R"([\w\x{200c}\x{200d}]+|[^\w\x{200c}\x{200d}\s]+)";

/// Cuts at the matches of a regular expression.
class RegexSplit final : public PreTokenizerStep {
 public:
  RegexSplit(Regex pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  absl::Status Apply(PreTokenizedText& text) const override {
    Regex::Matcher matcher(pattern_);
    std::vector<Span> matches;
    std::vector<Span> pieces;
    for (const Span& span : text.pieces) {
      const std::string_view piece = text.Piece(span);
      MOESAIC_RETURN_IF_ERROR(matcher.FindAll(piece, matches));
      std::vector<Segment> segments = SegmentsFromMatches(matches, piece.size());
      for (Segment& segment : segments) segment.is_match = segment.is_match != invert_;
      AppendSplit(segments, behavior_, span.begin, pieces);
    }
    text.pieces = std::move(pieces);
    return absl::OkStatus();
  }

 private:
  Regex pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

/// Cuts at every character of a class.
class CharSplit final : public PreTokenizerStep {
 public:
  using Class = bool (*)(char32_t);
  CharSplit(Class is_delimiter, SplitBehavior behavior)
      : is_delimiter_(is_delimiter), behavior_(behavior) {}

  absl::Status Apply(PreTokenizedText& text) const override {
    std::vector<Span> matches;
    std::vector<Span> pieces;
    for (const Span& span : text.pieces) {
      const std::string_view piece = text.Piece(span);
      matches.clear();
      for (std::size_t i = 0; i < piece.size();) {
        const std::size_t start = i;
        if (is_delimiter_(NextChar(piece, i))) matches.push_back({start, i});
      }
      AppendSplit(SegmentsFromMatches(matches, piece.size()), behavior_, span.begin, pieces);
    }
    text.pieces = std::move(pieces);
    return absl::OkStatus();
  }

 private:
  Class is_delimiter_;
  SplitBehavior behavior_;
};

/// Cuts into runs of a fixed number of characters.
class FixedLengthSplit final : public PreTokenizerStep {
 public:
  explicit FixedLengthSplit(std::size_t length) : length_(length) {}

  absl::Status Apply(PreTokenizedText& text) const override {
    std::vector<Span> pieces;
    for (const Span& span : text.pieces) {
      const std::string_view piece = text.Piece(span);
      for (std::size_t i = 0; i < piece.size();) {
        const std::size_t start = i;
        for (std::size_t n = 0; n < length_ && i < piece.size(); ++n) NextChar(piece, i);
        pieces.push_back({span.begin + start, span.begin + i});
      }
    }
    text.pieces = std::move(pieces);
    return absl::OkStatus();
  }

 private:
  std::size_t length_;
};

/// Rewrites every piece on its own.
class RewriteStep : public PreTokenizerStep {
 public:
  absl::Status Apply(PreTokenizedText& text) const final {
    PreTokenizedText out;
    out.starts_input = text.starts_input && !text.pieces.empty() && text.pieces.front().begin == 0;
    out.text.reserve(text.text.size() + text.text.size() / 4);
    out.pieces.reserve(text.pieces.size());
    for (const Span& span : text.pieces) {
      const std::size_t begin = out.text.size();
      AppendRewritten(text.Piece(span), text.starts_input && span.begin == 0, out.text);
      if (out.text.size() > begin) out.pieces.push_back({begin, out.text.size()});
    }
    text = std::move(out);
    return absl::OkStatus();
  }

 private:
  /// `is_first`: the piece starts where the input starts.
  virtual void AppendRewritten(std::string_view piece, bool is_first, std::string& out) const = 0;
};

class SpacePrefix final : public RewriteStep {
  void AppendRewritten(std::string_view piece, bool, std::string& out) const override {
    if (piece.front() != ' ') out.push_back(' ');
    out.append(piece);
  }
};

class ByteSpelling final : public RewriteStep {
  void AppendRewritten(std::string_view piece, bool, std::string& out) const override {
    AppendByteSpelling(piece, out);
  }
};

enum class PrependScheme { kNever, kFirst, kAlways };

/// The rewriting half of Metaspace: spaces become the replacement, which is also put in front.
class MetaspaceRewrite final : public RewriteStep {
 public:
  MetaspaceRewrite(std::string replacement, PrependScheme scheme)
      : replacement_(std::move(replacement)), scheme_(scheme) {}

 private:
  void AppendRewritten(std::string_view piece, bool is_first, std::string& out) const override {
    const bool marked =
        piece.front() == ' ' || piece.substr(0, replacement_.size()) == replacement_;
    const bool prepend =
        scheme_ == PrependScheme::kAlways || (scheme_ == PrependScheme::kFirst && is_first);
    if (prepend && !marked) out.append(replacement_);
    for (const char c : piece) {
      if (c == ' ') {
        out.append(replacement_);
      } else {
        out.push_back(c);
      }
    }
  }

  std::string replacement_;
  PrependScheme scheme_;
};

absl::Status AppendRegexSplit(absl::StatusOr<Regex> pattern, SplitBehavior behavior,
                              std::vector<PreTokenizerStepPtr>& steps, bool invert = false) {
  MOESAIC_RETURN_IF_ERROR(pattern.status());
  steps.push_back(std::make_shared<RegexSplit>(*std::move(pattern), behavior, invert));
  return absl::OkStatus();
}

absl::Status AppendSplitStep(const JsonSpec& spec, std::vector<PreTokenizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const SplitBehavior behavior, ParseSplitBehavior(spec["behavior"]));
  MOESAIC_ASSIGN_OR_RETURN(const bool invert, spec["invert"].BoolOr(false));
  return AppendRegexSplit(ParsePattern(spec["pattern"]), behavior, steps, invert);
}

absl::Status AppendByteLevel(const JsonSpec& spec, std::vector<PreTokenizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const bool add_prefix_space, spec["add_prefix_space"].BoolOr(true));
  MOESAIC_ASSIGN_OR_RETURN(const bool use_regex, spec["use_regex"].BoolOr(true));
  if (add_prefix_space) steps.push_back(std::make_shared<SpacePrefix>());
  if (use_regex) {
    MOESAIC_RETURN_IF_ERROR(
        AppendRegexSplit(Regex::Compile(kGpt2Pattern), SplitBehavior::kIsolated, steps));
  }
  steps.push_back(std::make_shared<ByteSpelling>());
  return absl::OkStatus();
}

absl::StatusOr<PrependScheme> ParsePrependScheme(const JsonSpec& spec) {
  // The older spelling of the key is a boolean.
  MOESAIC_ASSIGN_OR_RETURN(const bool add_prefix_space, spec["add_prefix_space"].BoolOr(true));
  if (!spec.Has("prepend_scheme")) {
    return add_prefix_space ? PrependScheme::kAlways : PrependScheme::kNever;
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::string scheme, spec["prepend_scheme"].String());
  if (scheme == "always") return PrependScheme::kAlways;
  if (scheme == "first") return PrependScheme::kFirst;
  if (scheme == "never") return PrependScheme::kNever;
  return spec["prepend_scheme"].Error(absl::StrCat("unknown scheme '", scheme, "'"));
}

absl::Status AppendMetaspace(const JsonSpec& spec, std::vector<PreTokenizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string replacement, ReadCharacter(spec["replacement"]));
  MOESAIC_ASSIGN_OR_RETURN(const PrependScheme scheme, ParsePrependScheme(spec));
  MOESAIC_ASSIGN_OR_RETURN(const bool split, spec["split"].BoolOr(true));
  steps.push_back(std::make_shared<MetaspaceRewrite>(replacement, scheme));
  if (!split) return absl::OkStatus();
  return AppendRegexSplit(Regex::Literal(replacement), SplitBehavior::kMergedWithNext, steps);
}

absl::Status AppendPunctuation(const JsonSpec& spec, std::vector<PreTokenizerStepPtr>& steps) {
  SplitBehavior behavior = SplitBehavior::kIsolated;
  if (spec.Has("behavior")) {
    MOESAIC_ASSIGN_OR_RETURN(behavior, ParseSplitBehavior(spec["behavior"]));
  }
  steps.push_back(std::make_shared<CharSplit>(&IsPunctuation, behavior));
  return absl::OkStatus();
}

absl::Status AppendWhitespace(std::vector<PreTokenizerStepPtr>& steps) {
  return AppendRegexSplit(Regex::Compile(kWordPattern), SplitBehavior::kRemoved, steps,
                          /*invert=*/true);
}

absl::Status AppendDelimiter(const JsonSpec& spec, std::vector<PreTokenizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string delimiter, ReadCharacter(spec["delimiter"]));
  return AppendRegexSplit(Regex::Literal(delimiter), SplitBehavior::kRemoved, steps);
}

absl::Status AppendSteps(const JsonSpec& spec, int depth, std::vector<PreTokenizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string type, spec.Type());
  if (type == "Sequence") {
    return spec["pretokenizers"].ForEachComponent(depth, [&steps](const JsonSpec& part, int depth) {
      return AppendSteps(part, depth, steps);
    });
  }
  if (type == "Split") return AppendSplitStep(spec, steps);
  if (type == "ByteLevel") return AppendByteLevel(spec, steps);
  if (type == "Metaspace") return AppendMetaspace(spec, steps);
  if (type == "Punctuation") return AppendPunctuation(spec, steps);
  if (type == "Whitespace") return AppendWhitespace(steps);
  if (type == "CharDelimiterSplit") return AppendDelimiter(spec, steps);
  if (type == "WhitespaceSplit" || type == "BertPreTokenizer") {
    steps.push_back(std::make_shared<CharSplit>(&IsWhiteSpace, SplitBehavior::kRemoved));
    if (type == "WhitespaceSplit") return absl::OkStatus();
    steps.push_back(std::make_shared<CharSplit>(&IsPunctuation, SplitBehavior::kIsolated));
  } else if (type == "Digits") {
    MOESAIC_ASSIGN_OR_RETURN(const bool individual, spec["individual_digits"].BoolOr(false));
    steps.push_back(std::make_shared<CharSplit>(
        &IsNumeric, individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous));
  } else if (type == "FixedLength") {
    MOESAIC_ASSIGN_OR_RETURN(const std::int64_t length, spec["length"].IntOr(1, 1 << 20, 5));
    steps.push_back(std::make_shared<FixedLengthSplit>(static_cast<std::size_t>(length)));
  } else {
    return spec["type"].UnknownType(type);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Create(const JsonSpec& spec) {
  PreTokenizer pre_tokenizer;
  if (!spec.is_null()) MOESAIC_RETURN_IF_ERROR(AppendSteps(spec, 0, pre_tokenizer.steps_));
  return pre_tokenizer;
}

absl::StatusOr<PreTokenizedText> PreTokenizer::Apply(std::string text, bool starts_input) const {
  PreTokenizedText result;
  if (!text.empty()) result.pieces.push_back({0, text.size()});
  result.text = std::move(text);
  result.starts_input = starts_input;
  for (const auto& step : steps_) MOESAIC_RETURN_IF_ERROR(step->Apply(result));
  return result;
}

}  // namespace moesaic::model
