#include "model/normalizer.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/byte_alphabet.h"
#include "model/char_class.h"
#include "model/regex.h"
#include "model/text_pattern.h"
#include "model/unicode_normalization.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

using NormalizerStepPtr = std::shared_ptr<const NormalizerStep>;

// Text that a step may put in for one match, and what all steps may grow a text to: both far above
// what real tokenizers do, low enough that no tokenizer.json can exhaust memory.
constexpr std::size_t kMaxInsertedBytes = 256;
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 28;

absl::StatusOr<std::string> ParseInserted(const JsonSpec& spec) {
  MOESAIC_ASSIGN_OR_RETURN(std::string text, spec.String());
  if (text.size() > kMaxInsertedBytes) return spec.Error("longer than 256 bytes");
  return text;
}

class UnicodeStep final : public NormalizerStep {
 public:
  explicit UnicodeStep(NormalizationForm form) : form_(form) {}
  absl::Status Apply(std::string& text) const override {
    text = NormalizeUnicode(text, form_);
    return absl::OkStatus();
  }

 private:
  NormalizationForm form_;
};

/// Maps every character to another one or to nothing.
class MapStep final : public NormalizerStep {
 public:
  using Map = std::optional<char32_t> (*)(char32_t);
  explicit MapStep(Map map) : map_(map) {}
  absl::Status Apply(std::string& text) const override {
    std::string out;
    for (std::size_t i = 0; i < text.size();) {
      if (const std::optional<char32_t> c = map_(NextChar(text, i))) AppendUtf8(*c, out);
    }
    text = std::move(out);
    return absl::OkStatus();
  }

 private:
  Map map_;
};

class LowercaseStep final : public NormalizerStep {
 public:
  absl::Status Apply(std::string& text) const override {
    text = LowerCase(text);
    return absl::OkStatus();
  }
};

class ByteLevelStep final : public NormalizerStep {
 public:
  absl::Status Apply(std::string& text) const override {
    std::string out;
    AppendByteSpelling(text, out);
    text = std::move(out);
    return absl::OkStatus();
  }
};

class PrependStep final : public NormalizerStep {
 public:
  explicit PrependStep(std::string prefix) : prefix_(std::move(prefix)) {}
  absl::Status Apply(std::string& text) const override {
    if (!text.empty()) text.insert(0, prefix_);
    return absl::OkStatus();
  }

 private:
  std::string prefix_;
};

class ReplaceStep final : public NormalizerStep {
 public:
  ReplaceStep(Regex pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}
  absl::Status Apply(std::string& text) const override {
    return ReplaceAll(pattern_, content_, text);
  }

 private:
  Regex pattern_;
  std::string content_;
};

class StripStep final : public NormalizerStep {
 public:
  StripStep(bool left, bool right) : left_(left), right_(right) {}
  absl::Status Apply(std::string& text) const override {
    std::size_t begin = 0;
    std::size_t end = text.size();
    while (left_ && begin < end) {
      std::size_t next = begin;
      if (!IsWhiteSpace(NextChar(text, next))) break;
      begin = next;
    }
    while (right_ && end > begin) {
      const std::size_t start = PreviousCharStart(text, end);
      std::size_t at = start;
      if (!IsWhiteSpace(NextChar(text, at))) break;
      end = start;
    }
    text = text.substr(begin, end - begin);
    return absl::OkStatus();
  }

 private:
  bool left_;
  bool right_;
};

std::optional<char32_t> DropMark(char32_t c) {
  if (IsMark(c)) return std::nullopt;
  return c;
}

/// SentencePiece's "nmt" rules: control characters go, odd spaces become plain ones.
std::optional<char32_t> MapNmt(char32_t c) {
  const bool control = (c >= 0x1 && c <= 0x8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F ||
                       c == 0x8F || c == 0x9F;
  if (control) return std::nullopt;
  const bool space = c == 0x9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 ||
                     (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                     c == 0xFEFF || c == 0xFFFD;
  return space ? U' ' : c;
}

NormalizerStepPtr MakePlainStep(std::string_view type) {
  if (type == "NFC") return std::make_shared<UnicodeStep>(NormalizationForm::kNfc);
  if (type == "NFD") return std::make_shared<UnicodeStep>(NormalizationForm::kNfd);
  if (type == "NFKC") return std::make_shared<UnicodeStep>(NormalizationForm::kNfkc);
  if (type == "NFKD") return std::make_shared<UnicodeStep>(NormalizationForm::kNfkd);
  if (type == "Lowercase") return std::make_shared<LowercaseStep>();
  if (type == "StripAccents") return std::make_shared<MapStep>(&DropMark);
  if (type == "Nmt") return std::make_shared<MapStep>(&MapNmt);
  if (type == "ByteLevel") return std::make_shared<ByteLevelStep>();
  return nullptr;
}

absl::Status AppendSteps(const JsonSpec& spec, int depth, std::vector<NormalizerStepPtr>& steps) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string type, spec.Type());
  if (type == "Sequence") {
    return spec["normalizers"].ForEachComponent(depth, [&steps](const JsonSpec& part, int depth) {
      return AppendSteps(part, depth, steps);
    });
  }
  if (NormalizerStepPtr step = MakePlainStep(type)) {
    steps.push_back(std::move(step));
    return absl::OkStatus();
  }
  if (type == "Prepend") {
    MOESAIC_ASSIGN_OR_RETURN(std::string prefix, ParseInserted(spec["prepend"]));
    steps.push_back(std::make_shared<PrependStep>(std::move(prefix)));
  } else if (type == "Replace") {
    MOESAIC_ASSIGN_OR_RETURN(Regex pattern, ParsePattern(spec["pattern"]));
    MOESAIC_ASSIGN_OR_RETURN(std::string content, ParseInserted(spec["content"]));
    steps.push_back(std::make_shared<ReplaceStep>(std::move(pattern), std::move(content)));
  } else if (type == "Strip") {
    MOESAIC_ASSIGN_OR_RETURN(const bool left, spec["strip_left"].BoolOr(true));
    MOESAIC_ASSIGN_OR_RETURN(const bool right, spec["strip_right"].BoolOr(true));
    steps.push_back(std::make_shared<StripStep>(left, right));
  } else {
    return spec["type"].UnknownType(type);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Normalizer> Normalizer::Create(const JsonSpec& spec) {
  Normalizer normalizer;
  if (!spec.is_null()) MOESAIC_RETURN_IF_ERROR(AppendSteps(spec, 0, normalizer.steps_));
  return normalizer;
}

absl::Status Normalizer::Apply(std::string& text) const {
  for (const auto& step : steps_) {
    MOESAIC_RETURN_IF_ERROR(step->Apply(text));
    if (text.size() > kMaxTextBytes) {
      return absl::ResourceExhaustedError("normalized text is longer than 256 MiB");
    }
  }
  return absl::OkStatus();
}

}  // namespace moesaic::model
