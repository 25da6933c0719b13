#include "model/utf8.h"

#include <algorithm>

namespace moesaic::model {
namespace {

struct LeadByte {
  std::size_t length;
  // Bounds of the second byte: they exclude overlong forms, surrogates and values over U+10FFFF.
  unsigned char low;
  unsigned char high;
};

LeadByte Classify(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead == 0xE0) return {3, 0xA0, 0xBF};
  if (lead == 0xED) return {3, 0x80, 0x9F};
  if (lead < 0xF0) return {3, 0x80, 0xBF};
  if (lead == 0xF0) return {4, 0x90, 0xBF};
  if (lead < 0xF4) return {4, 0x80, 0xBF};
  if (lead == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

}  // namespace

Utf8Char ReadUtf8(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const LeadByte lead = Classify(byte(0));
  if (lead.length == 1) return {byte(0), 1, true, false};
  if (lead.length == 0) return {};
  char32_t value = byte(0) & (0xFFu >> (lead.length + 1));
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (i == text.size()) return {0, i, false, true};
    const unsigned char low = i == 1 ? lead.low : 0x80;
    const unsigned char high = i == 1 ? lead.high : 0xBF;
    if (byte(i) < low || byte(i) > high) return {0, i, false, false};
    value = (value << 6) | (byte(i) & 0x3Fu);
  }
  return {value, lead.length, true, false};
}

char32_t NextChar(std::string_view text, std::size_t& offset) {
  const unsigned char lead = static_cast<unsigned char>(text[offset]);
  if (lead < 0x80) {
    ++offset;
    return lead;
  }
  const Utf8Char c = ReadUtf8(text.substr(offset));
  offset += c.length;
  return c.value;
}

std::size_t PreviousCharStart(std::string_view text, std::size_t offset) {
  do {
    --offset;
  } while (offset > 0 && (static_cast<unsigned char>(text[offset]) & 0xC0u) == 0x80u);
  return offset;
}

bool IsValidUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const Utf8Char c = ReadUtf8(text.substr(i));
    if (!c.valid) return false;
    i += c.length;
  }
  return true;
}

bool IsAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

void AppendUtf8(char32_t value, std::string& out) {
  if (value < 0x80) {
    out.push_back(static_cast<char>(value));
    return;
  }
  if (value < 0x800) {
    out.push_back(static_cast<char>(0xC0 | (value >> 6)));
  } else if (value < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | (value >> 12)));
    out.push_back(static_cast<char>(0x80 | ((value >> 6) & 0x3F)));
  } else {
    out.push_back(static_cast<char>(0xF0 | (value >> 18)));
    out.push_back(static_cast<char>(0x80 | ((value >> 12) & 0x3F)));
    out.push_back(static_cast<char>(0x80 | ((value >> 6) & 0x3F)));
  }
  out.push_back(static_cast<char>(0x80 | (value & 0x3F)));
}

std::u32string ToUtf32(std::string_view valid_text) {
  std::u32string out;
  out.reserve(valid_text.size());
  for (std::size_t i = 0; i < valid_text.size();) out.push_back(NextChar(valid_text, i));
  return out;
}

std::string ToUtf8(std::u32string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char32_t c : text) AppendUtf8(c, out);
  return out;
}

std::size_t CountChars(std::string_view valid_text) {
  return static_cast<std::size_t>(std::count_if(valid_text.begin(), valid_text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u;
  }));
}

std::size_t AppendLossy(std::string_view bytes, bool at_end, std::string& out) {
  std::size_t i = 0;
  while (i < bytes.size()) {
    const Utf8Char c = ReadUtf8(bytes.substr(i));
    if (c.valid) {
      out.append(bytes, i, c.length);
    } else if (c.incomplete && !at_end) {
      break;
    } else {
      out.append(kReplacementCharacter);
    }
    i += c.length;
  }
  return i;
}

bool IsWhiteSpace(char32_t value) {
  return (value >= 0x9 && value <= 0xD) || value == 0x20 || value == 0x85 || value == 0xA0 ||
         value == 0x1680 || (value >= 0x2000 && value <= 0x200A) || value == 0x2028 ||
         value == 0x2029 || value == 0x202F || value == 0x205F || value == 0x3000;
}

}  // namespace moesaic::model
