#include <algorithm>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/regex.h"
#include "model/unicode_additions.h"

namespace moesaic::model {
namespace {

constexpr std::string_view kSpace =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr std::string_view kWord = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})";
constexpr std::string_view kHexDigit = "0-9A-Fa-f";

/// Rewrites one pattern from left to right. Single-thread, used once.
class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    while (at_ < pattern_.size()) MOESAIC_RETURN_IF_ERROR(Step());
    return std::move(out_);
  }

 private:
  absl::Status Step() {
    const char c = pattern_[at_];
    if (c == '\\') return Escape();
    if (in_class_) return ClassCharacter(c);
    if (c == '[') return OpenClass();
    if (c == '{') return Quantifier();
    Copy(1);
    return absl::OkStatus();
  }

  void Copy(std::size_t count) {
    out_.append(pattern_.substr(at_, count));
    at_ += count;
  }

  absl::Status OpenClass() {
    in_class_ = true;
    Copy(1);
    if (Peek() == '^') Copy(1);
    // A closing bracket in the first place stands for itself in both syntaxes.
    if (Peek() == ']') Copy(1);
    return absl::OkStatus();
  }

  absl::Status ClassCharacter(char c) {
    if (c == '[') {
      const std::size_t end = pattern_.find(":]", at_);
      if (Peek(1) != ':' || end == std::string_view::npos) return Unsupported("nested set");
      Copy(end + 2 - at_);
      return absl::OkStatus();
    }
    if (c == '&' && Peek(1) == '&') return Unsupported("set intersection");
    if (c == ']') in_class_ = false;
    Copy(1);
    return absl::OkStatus();
  }

  /// `{n,m}+` is a possessive quantifier to PCRE2 but a repeated one to Oniguruma.
  absl::Status Quantifier() {
    const std::size_t end = pattern_.find_first_not_of("0123456789,", at_ + 1);
    if (end != std::string_view::npos && end > at_ + 1 && pattern_[end] == '}' &&
        end + 1 < pattern_.size() && pattern_[end + 1] == '+') {
      return Unsupported("quantifier of a quantifier");
    }
    Copy(1);
    return absl::OkStatus();
  }

  absl::Status Escape() {
    switch (Peek(1)) {
      case 's':
        return Set(kSpace, false);
      case 'S':
        // Inside a class a complement cannot be written out; PCRE2's own \S differs from the
        // reference only in U+180E, which PCRE2 takes for a space.
        if (in_class_) return Replace(2, R"(\S\x{180e})");
        return Set(kSpace, true);
      case 'w':
        return Set(kWord, false);
      case 'W':
        return Set(kWord, true);
      case 'h':
        return Set(kHexDigit, false);
      case 'H':
        return Set(kHexDigit, true);
      case 'p':
      case 'P':
        return Property();
      case 'u':
        return Replace(6, absl::StrCat("\\x{", base::ToAbsl(pattern_.substr(at_ + 2, 4)), "}"));
      case '\0':
        return absl::InvalidArgumentError("pattern ends in a backslash");
      default:
        Copy(2);
        return absl::OkStatus();
    }
  }

  absl::Status Property() {
    bool negated = Peek(1) == 'P';
    const std::size_t close = pattern_.find('}', at_);
    if (Peek(2) != '{' || close == std::string_view::npos) {
      Copy(2);
      return absl::OkStatus();
    }
    std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
    if (!name.empty() && name[0] == '^') {
      negated = !negated;
      name.remove_prefix(1);
    }
    const std::string_view additions = name.size() == 1 ? CategoryAdditions(name[0]) : "";
    const std::string plain = absl::StrCat(negated ? "\\P{" : "\\p{", base::ToAbsl(name), "}");
    if (additions.empty() || (negated && in_class_)) return Replace(close + 1 - at_, plain);
    const std::string members =
        absl::StrCat("\\p{", base::ToAbsl(name), "}", base::ToAbsl(additions));
    if (in_class_) return Replace(close + 1 - at_, members);
    return Replace(close + 1 - at_, absl::StrCat(negated ? "[^" : "[", members, "]"));
  }

  /// Replaces a two-character escape by the class it stands for.
  absl::Status Set(std::string_view members, bool negated) {
    if (!in_class_) {
      return Replace(2, absl::StrCat(negated ? "[^" : "[", base::ToAbsl(members), "]"));
    }
    if (negated) return Unsupported("negated shorthand in a set");
    return Replace(2, members);
  }

  absl::Status Replace(std::size_t count, std::string_view text) {
    out_.append(text);
    at_ = std::min(at_ + count, pattern_.size());
    return absl::OkStatus();
  }

  char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0';
  }

  absl::Status Unsupported(std::string_view what) const {
    return absl::UnimplementedError(absl::StrCat("regular expression: ", base::ToAbsl(what),
                                                 " at offset ", at_, " is not supported"));
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> TranslateOniguruma(std::string_view pattern) {
  return Translator(pattern).Run();
}

}  // namespace moesaic::model
