#pragma once

#include <string>
#include <string_view>

namespace moesaic::model {

/// The normalization forms of Unicode Standard Annex 15.
enum class NormalizationForm { kNfc, kNfd, kNfkc, kNfkd };

/// `text` (valid UTF-8) in the given form. Time grows as n log n, also for long runs of combining
/// marks.
std::string NormalizeUnicode(std::string_view text, NormalizationForm form);
/// Every character mapped to lower case by itself, without context.
std::string LowerCase(std::string_view text);

}  // namespace moesaic::model
