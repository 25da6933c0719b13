#include "model/unicode_normalization.h"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/check.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

struct Range {
  char32_t first;
  char32_t last;
};

/// Characters whose normalization properties came after Unicode 9, up to 15. The reference
/// tokenizer library normalizes by the tables of Unicode 9, so to it, and to the models trained on
/// its output, they are letters like any other.
constexpr Range kAfterUnicode9[] = {
    {0x7FD, 0x7FD},     {0x898, 0x89F},     {0x8CA, 0x8D3},     {0x9FE, 0x9FE},
    {0xC3C, 0xC3C},     {0xD3B, 0xD3C},     {0xEBA, 0xEBA},     {0xECE, 0xECE},
    {0x1715, 0x1715},   {0x1ABF, 0x1ACE},   {0x1DF6, 0x1DFA},   {0x32FF, 0x32FF},
    {0xA7F2, 0xA7F4},   {0xA82C, 0xA82C},   {0xAB69, 0xAB69},   {0x10781, 0x10785},
    {0x10787, 0x107B0}, {0x107B2, 0x107BA}, {0x10D24, 0x10D27}, {0x10EAB, 0x10EAC},
    {0x10EFD, 0x10EFF}, {0x10F46, 0x10F50}, {0x10F82, 0x10F85}, {0x11070, 0x11070},
    {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x11839, 0x1183A}, {0x11930, 0x11930},
    {0x11935, 0x11935}, {0x11938, 0x11938}, {0x1193D, 0x1193E}, {0x11943, 0x11943},
    {0x119E0, 0x119E0}, {0x11A34, 0x11A34}, {0x11A47, 0x11A47}, {0x11A99, 0x11A99},
    {0x11D42, 0x11D42}, {0x11D44, 0x11D45}, {0x11D97, 0x11D97}, {0x11F41, 0x11F42},
    {0x16FF0, 0x16FF1}, {0x1E030, 0x1E06D}, {0x1E08F, 0x1E08F}, {0x1E130, 0x1E136},
    {0x1E2AE, 0x1E2AE}, {0x1E2EC, 0x1E2EF}, {0x1E4EC, 0x1E4EF}, {0x1F16C, 0x1F16C},
    {0x1FBF0, 0x1FBF9},
};

bool IsAfterUnicode9(char32_t value) {
  const auto range =
      std::lower_bound(std::begin(kAfterUnicode9), std::end(kAfterUnicode9), value,
                       [](const Range& candidate, char32_t c) { return candidate.last < c; });
  return range != std::end(kAfterUnicode9) && range->first <= value;
}

/// Longest full decomposition of one character (U+FDFA).
constexpr int kMaxDecomposition = 18;

void AppendDecomposition(char32_t value, NormalizationForm form,
                         std::vector<utf8proc_int32_t>& out) {
  const bool compatible = form == NormalizationForm::kNfkc || form == NormalizationForm::kNfkd;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  utf8proc_int32_t buffer[kMaxDecomposition];
  int boundary_class = 0;
  const utf8proc_ssize_t length = utf8proc_decompose_char(
      static_cast<utf8proc_int32_t>(value), buffer, kMaxDecomposition, options, &boundary_class);
  MOESAIC_CHECK(length >= 0 && length <= kMaxDecomposition);
  out.insert(out.end(), buffer, buffer + length);
}

int CombiningClass(utf8proc_int32_t value) {
  return value < 0x300 ? 0 : utf8proc_get_property(value)->combining_class;
}

/// The canonical ordering algorithm: runs of marks are stably sorted by class. utf8proc's own
/// function does this by exchanging neighbours, which is quadratic.
void OrderMarks(std::vector<utf8proc_int32_t>& text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && CombiningClass(text[end]) != 0) ++end;
    if (end - i > 1) {
      std::stable_sort(text.begin() + i, text.begin() + end,
                       [](utf8proc_int32_t a, utf8proc_int32_t b) {
                         return CombiningClass(a) < CombiningClass(b);
                       });
    }
    i = end + 1;
  }
}

/// Orders, composes and appends decomposed text, and clears it.
void AppendNormalized(std::vector<utf8proc_int32_t>& text, NormalizationForm form,
                      std::string& out) {
  OrderMarks(text);
  if (form == NormalizationForm::kNfc || form == NormalizationForm::kNfkc) {
    text.resize(static_cast<std::size_t>(utf8proc_normalize_utf32(
        text.data(), static_cast<utf8proc_ssize_t>(text.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE))));
  }
  for (const utf8proc_int32_t c : text) AppendUtf8(static_cast<char32_t>(c), out);
  text.clear();
}

}  // namespace

std::string NormalizeUnicode(std::string_view text, NormalizationForm form) {
  if (IsAscii(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  std::vector<utf8proc_int32_t> segment;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = NextChar(text, i);
    if (IsAfterUnicode9(c)) {
      AppendNormalized(segment, form, out);
      AppendUtf8(c, out);
    } else {
      AppendDecomposition(c, form, segment);
    }
  }
  AppendNormalized(segment, form, out);
  return out;
}

std::string LowerCase(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = NextChar(text, i);
    // The only character whose lower case is longer than one (SpecialCasing.txt).
    if (c == 0x130) {
      out.append("i\xCC\x87");
    } else {
      AppendUtf8(static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))), out);
    }
  }
  return out;
}

}  // namespace moesaic::model
