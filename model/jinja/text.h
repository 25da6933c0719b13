#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace moesaic::model::jinja {

/// String operations with Python's meaning: white space is what str.isspace says, positions count
/// characters. Text is valid UTF-8.

bool IsPythonSpace(char32_t value);
std::string_view StripLeft(std::string_view text);
std::string_view StripRight(std::string_view text);
/// As above, for any of the characters in `set`.
std::string_view StripLeft(std::string_view text, std::string_view set);
std::string_view StripRight(std::string_view text, std::string_view set);

/// str.split() without a separator; at most `limit` cuts, counted from the left.
std::vector<std::string_view> SplitSpace(std::string_view text, std::size_t limit);
/// str.split(separator) and str.rsplit(separator). Requires: separator is not empty.
std::vector<std::string_view> Split(std::string_view text, std::string_view separator,
                                    std::size_t limit);
std::vector<std::string_view> SplitFromRight(std::string_view text, std::string_view separator,
                                             std::size_t limit);
/// str.splitlines().
std::vector<std::string_view> SplitLines(std::string_view text, bool keep_ends);

/// Replaces up to `limit` occurrences; an empty `from` matches between all characters.
std::string Replace(std::string_view text, std::string_view from, std::string_view to,
                    std::size_t limit);
/// Occurrences that do not overlap.
std::size_t CountOccurrences(std::string_view text, std::string_view part);

std::string Upper(std::string_view text);
std::string Lower(std::string_view text);
/// First character in upper case, the rest in lower case.
std::string Capitalize(std::string_view text);
/// Every letter after a character that is no letter in upper case, the others in lower case.
std::string Title(std::string_view text);

}  // namespace moesaic::model::jinja
