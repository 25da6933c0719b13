#include "model/text_pattern.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/utf8.h"

namespace moesaic::model {

absl::StatusOr<Regex> ParsePattern(const JsonSpec& spec) {
  const bool literal = spec.Has("String");
  const JsonSpec text = literal ? spec["String"] : spec["Regex"];
  MOESAIC_ASSIGN_OR_RETURN(const std::string pattern, text.String());
  if (pattern.empty()) return text.Error("the pattern is empty");
  absl::StatusOr<Regex> regex = literal ? Regex::Literal(pattern) : Regex::Compile(pattern);
  if (regex.ok()) return regex;
  return absl::Status(regex.status().code(),
                      absl::StrCat(text.path(), ": ", regex.status().message()));
}

absl::StatusOr<std::string> ReadCharacter(const JsonSpec& spec) {
  MOESAIC_ASSIGN_OR_RETURN(std::string text, spec.String());
  if (CountChars(text) != 1) return spec.Error("expected one character");
  return text;
}

absl::Status ReplaceAll(const Regex& pattern, std::string_view content, std::string& text) {
  std::vector<Span> matches;
  MOESAIC_RETURN_IF_ERROR(Regex::Matcher(pattern).FindAll(text, matches));
  if (matches.empty()) return absl::OkStatus();
  std::string out;
  std::size_t at = 0;
  for (const Span& match : matches) {
    out.append(text, at, match.begin - at).append(content);
    at = match.end;
  }
  text = std::move(out.append(text, at));
  return absl::OkStatus();
}

}  // namespace moesaic::model
