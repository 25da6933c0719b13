#include "model/jinja/lexer.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/string_escape.h"
#include "model/jinja/text.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

constexpr std::string_view kOperators[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "/",
                                           "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                           ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}

bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

/// Line breaks of any kind become \n, and one at the end goes.
std::string NormalizeSource(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out.push_back('\n');
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out.push_back(source[i]);
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

/// One pass over a template. Single-thread, used once.
class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) MOESAIC_RETURN_IF_ERROR(TextAndTag());
    Emit(TokenKind::kEnd);
    return std::move(tokens_);
  }

 private:
  /// Reads text up to the next tag and the tag.
  absl::Status TextAndTag() {
    const std::size_t tag = FindTag();
    if (tag == std::string::npos) {
      EmitText(Rest());
      at_ = source_.size();
      return absl::OkStatus();
    }
    const char kind = source_[tag + 1];
    const char sign = tag + 2 < source_.size() ? source_[tag + 2] : '\0';
    EmitText(TextBefore(tag, kind, sign));
    AdvanceTo(tag + (sign == '-' || sign == '+' ? 3 : 2));
    if (kind == '#') return Comment();
    if (kind == '{') return Tag(TokenKind::kVariableBegin, TokenKind::kVariableEnd, "}}");
    if (ConsumeRawBegin()) return Raw();
    return Tag(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
  }

  std::size_t FindTag() const {
    for (std::size_t i = at_; (i = source_.find('{', i)) != std::string::npos; ++i) {
      if (i + 1 < source_.size() &&
          std::string_view("{%#").find(source_[i + 1]) != std::string::npos) {
        return i;
      }
    }
    return std::string::npos;
  }

  /// The text before a tag with the white space gone that the tag's sign or lstrip_blocks takes.
  std::string_view TextBefore(std::size_t tag, char kind, char sign) const {
    std::string_view text = std::string_view(source_).substr(at_, tag - at_);
    if (sign == '-') return StripRight(text);
    if (sign == '+' || kind == '{') return text;
    const std::size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !line_starting_) return text;
    const std::size_t line = newline == std::string_view::npos ? 0 : newline + 1;
    return StripRight(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  absl::Status Comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) return Error("missing end of comment tag");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    AdvanceTo(end + 2);
    AfterTag(sign, /*trims=*/true);
    return absl::OkStatus();
  }

  /// `raw %}` after `{%`.
  bool ConsumeRawBegin() {
    std::size_t i = SkipSpace(at_);
    if (source_.compare(i, 3, "raw") != 0) return false;
    i = SkipSpace(i + 3);
    const bool strip = source_.compare(i, 3, "-%}") == 0;
    if (!strip && source_.compare(i, 2, "%}") != 0) return false;
    AdvanceTo(i + (strip ? 3 : 2));
    if (strip) AdvanceTo(SkipSpace(at_));
    line_starting_ = source_[at_ - 1] == '\n';
    return true;
  }

  absl::Status Raw() {
    for (std::size_t i = at_; (i = source_.find("{%", i)) != std::string::npos; ++i) {
      const char sign = i + 2 < source_.size() ? source_[i + 2] : '\0';
      std::size_t end = SkipSpace(i + (sign == '-' || sign == '+' ? 3 : 2));
      if (source_.compare(end, 6, "endraw") != 0) continue;
      end = SkipSpace(end + 6);
      const char end_sign = end < source_.size() ? source_[end] : '\0';
      if (end_sign == '-' || end_sign == '+') ++end;
      if (source_.compare(end, 2, "%}") != 0) continue;
      EmitText(TextBefore(i, '%', sign));
      AdvanceTo(end + 2);
      AfterTag(end_sign, /*trims=*/true);
      return absl::OkStatus();
    }
    return Error("missing end of raw directive");
  }

  /// The tokens of a variable or block tag.
  absl::Status Tag(TokenKind begin, TokenKind end_kind, std::string_view end) {
    Emit(begin);
    while (true) {
      AdvanceTo(SkipSpace(at_));
      if (at_ >= source_.size()) return Error("unexpected end of template in a tag");
      const char c = source_[at_];
      const bool signed_end =
          (c == '-' || (c == '+' && end == "%}")) && source_.compare(at_ + 1, 2, end) == 0;
      if (brackets_.empty() && (signed_end || source_.compare(at_, 2, end) == 0)) {
        Emit(end_kind);
        AdvanceTo(at_ + (signed_end ? 3 : 2));
        AfterTag(signed_end ? c : '\0', end == "%}");
        return absl::OkStatus();
      }
      MOESAIC_RETURN_IF_ERROR(Expression(c));
    }
  }

  absl::Status Expression(char c) {
    if (IsDigit(c)) return Number();
    if (IsNameStart(c)) return Name();
    if (c == '"' || c == '\'') return String(c);
    return Operator();
  }

  absl::Status Name() {
    const std::size_t begin = at_;
    while (at_ < source_.size() && IsNamePart(source_[at_])) ++at_;
    Emit(TokenKind::kName, source_.substr(begin, at_ - begin));
    return absl::OkStatus();
  }

  absl::Status String(char quote) {
    const std::size_t begin = at_ + 1;
    std::size_t end = begin;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) return Error("string is not closed");
    absl::StatusOr<std::string> text =
        UnescapePythonString(std::string_view(source_).substr(begin, end - begin));
    if (!text.ok()) return Error(base::ToStd(text.status().message()));
    Emit(TokenKind::kString, *std::move(text));
    AdvanceTo(end + 1);
    return absl::OkStatus();
  }

  /// Digits, which underscores may separate.
  void Digits(std::string& out) {
    while (at_ < source_.size()) {
      const bool separator =
          source_[at_] == '_' && at_ + 1 < source_.size() && IsDigit(source_[at_ + 1]);
      if (!IsDigit(source_[at_]) && !separator) return;
      if (!separator) out.push_back(source_[at_]);
      ++at_;
    }
  }

  absl::Status Number() {
    // "a.0.1" is two subscripts, not a fraction.
    const bool subscript = at_ > 0 && source_[at_ - 1] == '.';
    std::string digits;
    Digits(digits);
    bool real = false;
    if (!subscript && at_ + 1 < source_.size() && source_[at_] == '.' &&
        IsDigit(source_[at_ + 1])) {
      real = true;
      digits.push_back(source_[at_++]);
      Digits(digits);
    }
    const std::size_t exponent = ExponentLength();
    if (!subscript && exponent > 0) {
      real = true;
      digits.append(source_, at_, exponent);
      at_ += exponent;
      Digits(digits);
    }
    return real ? EmitFloat(digits) : EmitInteger(digits);
  }

  /// Length of `e`, sign and nothing more, where digits follow; else 0.
  std::size_t ExponentLength() const {
    if (at_ >= source_.size() || (source_[at_] != 'e' && source_[at_] != 'E')) return 0;
    std::size_t length = 1;
    if (at_ + 1 < source_.size() && (source_[at_ + 1] == '+' || source_[at_ + 1] == '-')) ++length;
    return at_ + length < source_.size() && IsDigit(source_[at_ + length]) ? length : 0;
  }

  absl::Status EmitInteger(const std::string& digits) {
    Emit(TokenKind::kInteger);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), tokens_.back().integer);
    if (error != std::errc()) return Error("integer is out of range");
    return absl::OkStatus();
  }

  absl::Status EmitFloat(const std::string& digits) {
    Emit(TokenKind::kFloat);
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), tokens_.back().real);
    if (error != std::errc()) return Error("number is out of range");
    return absl::OkStatus();
  }

  absl::Status Operator() {
    for (const std::string_view op : kOperators) {
      if (source_.compare(at_, op.size(), op) != 0) continue;
      MOESAIC_RETURN_IF_ERROR(Balance(op[0]));
      Emit(TokenKind::kOperator, std::string(op));
      at_ += op.size();
      return absl::OkStatus();
    }
    return Error(absl::StrCat("unexpected character '", source_.substr(at_, 1), "'"));
  }

  /// Follows brackets: inside them, "}}" closes dicts and not the tag.
  absl::Status Balance(char c) {
    switch (c) {
      case '(':
        brackets_.push_back(')');
        return absl::OkStatus();
      case '[':
        brackets_.push_back(']');
        return absl::OkStatus();
      case '{':
        brackets_.push_back('}');
        return absl::OkStatus();
      case ')':
      case ']':
      case '}':
        if (brackets_.empty() || brackets_.back() != c) {
          return Error(absl::StrCat("unexpected '", std::string(1, c), "'"));
        }
        brackets_.pop_back();
        return absl::OkStatus();
      default:
        return absl::OkStatus();
    }
  }

  /// What the end of a tag takes of the text behind it.
  void AfterTag(char sign, bool trims) {
    if (sign == '-') {
      AdvanceTo(SkipSpace(at_));
    } else if (sign != '+' && trims && at_ < source_.size() && source_[at_] == '\n') {
      AdvanceTo(at_ + 1);
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  std::size_t SkipSpace(std::size_t offset) const {
    const std::string_view rest =
        std::string_view(source_).substr(std::min(offset, source_.size()));
    return source_.size() - StripLeft(rest).size();
  }

  void AdvanceTo(std::size_t offset) {
    line_ += static_cast<int>(std::count(source_.begin() + at_, source_.begin() + offset, '\n'));
    at_ = offset;
  }

  std::string_view Rest() const { return std::string_view(source_).substr(at_); }

  void EmitText(std::string_view text) {
    if (!text.empty()) Emit(TokenKind::kText, std::string(text));
  }

  void Emit(TokenKind kind, std::string text = {}) {
    tokens_.push_back({kind, std::move(text), 0, 0, line_});
  }

  absl::Status Error(std::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat("chat template line ", line_, ": ", base::ToAbsl(what)));
  }

  const std::string source_;
  std::size_t at_ = 0;
  int line_ = 1;
  /// The tag before ended its line.
  bool line_starting_ = true;
  std::vector<char> brackets_;
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(std::string_view source) {
  return Lexer(NormalizeSource(source)).Run();
}

}  // namespace moesaic::model::jinja
