#include "model/jinja/string_escape.h"

#include <utf8proc.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

std::optional<char> SimpleEscape(char c) {
  switch (c) {
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return std::nullopt;
  }
}

/// Digits of a \x, \u or \U escape; 0 for any other.
std::size_t HexEscapeDigits(char c) {
  if (c == 'x') return 2;
  if (c == 'u') return 4;
  return c == 'U' ? 8 : 0;
}

absl::StatusOr<char32_t> ReadHex(std::string_view text, std::size_t digits) {
  std::uint32_t value = 0;
  const char* end = text.data() + std::min(digits, text.size());
  const auto result = std::from_chars(text.data(), end, value, 16);
  if (text.size() < digits || result.ptr != end || result.ec != std::errc() || value > 0x10FFFF ||
      (value >= 0xD800 && value < 0xE000)) {
    return absl::InvalidArgumentError("broken escape in a string");
  }
  return value;
}

bool IsPrintable(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return c == ' ';
    default:
      return true;
  }
}

void AppendHexEscape(char32_t c, std::string& out) {
  const std::uint32_t value = c;
  if (value < 0x100) {
    absl::StrAppendFormat(&out, "\\x%02x", value);
  } else if (value < 0x10000) {
    absl::StrAppendFormat(&out, "\\u%04x", value);
  } else {
    absl::StrAppendFormat(&out, "\\U%08x", value);
  }
}

void AppendJsonUnicode(char32_t c, std::string& out) {
  const std::uint32_t value = c;
  if (value < 0x10000) {
    absl::StrAppendFormat(&out, "\\u%04x", value);
  } else {
    absl::StrAppendFormat(&out, "\\u%04x\\u%04x", 0xD800 + ((value - 0x10000) >> 10),
                          0xDC00 + ((value - 0x10000) & 0x3FF));
  }
}

}  // namespace

absl::StatusOr<std::string> UnescapePythonString(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    const char c = text[++i];
    if (const std::optional<char> simple = SimpleEscape(c)) {
      out.push_back(*simple);
    } else if (const std::size_t digits = HexEscapeDigits(c)) {
      MOESAIC_ASSIGN_OR_RETURN(const char32_t value, ReadHex(text.substr(i + 1), digits));
      AppendUtf8(value, out);
      i += digits;
    } else if (c >= '0' && c <= '7') {
      char32_t value = 0;
      const std::size_t end = std::min(i + 3, text.size());
      for (; i < end && text[i] >= '0' && text[i] <= '7'; ++i) value = value * 8 + (text[i] - '0');
      --i;
      AppendUtf8(value, out);
    } else if (c != '\n') {
      // An unknown escape stands for itself; an escaped line break is none.
      out.push_back('\\');
      out.push_back(c);
    }
  }
  return out;
}

void AppendPythonRepr(std::string_view text, std::string& out) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const bool has_double = text.find('"') != std::string_view::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  out.push_back(quote);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char32_t c = NextChar(text, i);
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (IsPrintable(c)) {
      out.append(text.substr(begin, i - begin));
    } else {
      AppendHexEscape(c, out);
    }
  }
  out.push_back(quote);
}

void AppendJsonString(std::string_view text, bool ensure_ascii, std::string& out) {
  out.push_back('"');
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char32_t c = NextChar(text, i);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(static_cast<char>(c));
    } else if (c == '\n') {
      out.append("\\n");
    } else if (c == '\r') {
      out.append("\\r");
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c == '\b') {
      out.append("\\b");
    } else if (c == '\f') {
      out.append("\\f");
    } else if (c < 0x20 || (ensure_ascii && c > 0x7E)) {
      AppendJsonUnicode(c, out);
    } else {
      out.append(text.substr(begin, i - begin));
    }
  }
  out.push_back('"');
}

std::string FormatPythonFloat(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[32];
  const auto result =
      std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::scientific);
  const std::string_view text(buffer, result.ptr - buffer);
  const std::size_t e = text.find('e');
  const bool negative = text[0] == '-';
  std::string digits(text.substr(negative, e - negative));
  if (digits.size() > 1) digits.erase(1, 1);
  int exponent = 0;
  const char* first = text.data() + e + (text[e + 1] == '+' ? 2 : 1);
  std::from_chars(first, text.data() + text.size(), exponent);
  std::string out = negative ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    out.append(digits, 0, 1);
    if (digits.size() > 1) out.append(".").append(digits, 1);
    absl::StrAppendFormat(&out, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
    return out;
  }
  if (exponent < 0) return out.append("0.").append(-exponent - 1, '0').append(digits);
  const std::size_t whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) return out.append(digits).append(whole - digits.size(), '0') + ".0";
  return out.append(digits, 0, whole).append(".").append(digits, whole);
}

}  // namespace moesaic::model::jinja
