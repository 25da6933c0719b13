#include "model/jinja/text.h"

#include <utf8proc.h>

#include <algorithm>

#include "model/unicode_normalization.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

template <typename Predicate>
std::string_view StripLeftIf(std::string_view text, Predicate strips) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::size_t next = at;
    if (!strips(NextChar(text, next))) break;
    at = next;
  }
  return text.substr(at);
}

template <typename Predicate>
std::string_view StripRightIf(std::string_view text, Predicate strips) {
  std::size_t end = text.size();
  while (end > 0) {
    const std::size_t start = PreviousCharStart(text, end);
    std::size_t at = start;
    if (!strips(NextChar(text, at))) break;
    end = start;
  }
  return text.substr(0, end);
}

void AppendUpper(char32_t c, std::string& out) {
  // The only common character whose upper case is longer than one.
  if (c == 0xDF) {
    out.append("SS");
  } else {
    AppendUtf8(static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))), out);
  }
}

bool IsLetter(char32_t c) {
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool IsLineBreak(char32_t c) {
  return (c >= 0xA && c <= 0xD) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

}  // namespace

bool IsPythonSpace(char32_t value) {
  return IsWhiteSpace(value) || (value >= 0x1C && value <= 0x1F);
}

std::string_view StripLeft(std::string_view text) { return StripLeftIf(text, IsPythonSpace); }
std::string_view StripRight(std::string_view text) { return StripRightIf(text, IsPythonSpace); }

std::string_view StripLeft(std::string_view text, std::string_view set) {
  const std::u32string chars = ToUtf32(set);
  return StripLeftIf(text, [&](char32_t c) { return chars.find(c) != std::u32string::npos; });
}

std::string_view StripRight(std::string_view text, std::string_view set) {
  const std::u32string chars = ToUtf32(set);
  return StripRightIf(text, [&](char32_t c) { return chars.find(c) != std::u32string::npos; });
}

std::vector<std::string_view> SplitSpace(std::string_view text, std::size_t limit) {
  std::vector<std::string_view> parts;
  for (text = StripLeft(text); !text.empty(); text = StripLeft(text)) {
    if (parts.size() == limit) {
      parts.push_back(StripRight(text));
      break;
    }
    std::size_t end = 0;
    while (end < text.size()) {
      std::size_t next = end;
      if (IsPythonSpace(NextChar(text, next))) break;
      end = next;
    }
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    std::size_t limit) {
  std::vector<std::string_view> parts;
  while (parts.size() < limit) {
    const std::size_t found = text.find(separator);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(0, found));
    text.remove_prefix(found + separator.size());
  }
  parts.push_back(text);
  return parts;
}

std::vector<std::string_view> SplitFromRight(std::string_view text, std::string_view separator,
                                             std::size_t limit) {
  std::vector<std::string_view> parts;
  while (parts.size() < limit) {
    const std::size_t found = text.rfind(separator);
    if (found == std::string_view::npos) break;
    parts.push_back(text.substr(found + separator.size()));
    text = text.substr(0, found);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t end = i;
    const char32_t c = NextChar(text, i);
    if (!IsLineBreak(c)) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    lines.push_back(text.substr(begin, (keep_ends ? i : end) - begin));
    begin = i;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    std::size_t limit) {
  std::string out;
  std::size_t at = 0;
  if (from.empty()) {
    for (std::size_t n = 0; n < limit; ++n) {
      out.append(to);
      if (at == text.size()) return out;
      const std::size_t begin = at;
      NextChar(text, at);
      out.append(text.substr(begin, at - begin));
    }
    return out.append(text.substr(at));
  }
  for (std::size_t n = 0; n < limit; ++n) {
    const std::size_t found = text.find(from, at);
    if (found == std::string_view::npos) break;
    out.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return out.append(text.substr(at));
}

std::size_t CountOccurrences(std::string_view text, std::string_view part) {
  if (part.empty()) return CountChars(text) + 1;
  std::size_t count = 0;
  for (std::size_t i = 0; (i = text.find(part, i)) != std::string_view::npos; i += part.size()) {
    ++count;
  }
  return count;
}

std::string Upper(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) AppendUpper(NextChar(text, i), out);
  return out;
}

std::string Lower(std::string_view text) { return LowerCase(text); }

std::string Capitalize(std::string_view text) {
  if (text.empty()) return {};
  std::size_t at = 0;
  std::string out;
  AppendUpper(NextChar(text, at), out);
  return out + Lower(text.substr(at));
}

std::string Title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    const char32_t c = NextChar(text, i);
    if (in_word) {
      out.append(Lower(text.substr(begin, i - begin)));
    } else {
      AppendUpper(c, out);
    }
    in_word = IsLetter(c);
  }
  return out;
}

}  // namespace moesaic::model::jinja
