// A split pattern of a tokenizer.json: its translation, compilation and a match.
#include <vector>

#include "base/check.h"
#include "model/regex.h"
#include "model/utf8.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  const std::string_view text = input.Until('\0');
  const auto regex = moesaic::model::Regex::Compile(input.Rest());
  if (!regex.ok() || !moesaic::model::IsValidUtf8(text) || text.size() > 64) return 0;
  moesaic::model::Regex::Matcher matcher(*regex);
  std::vector<moesaic::model::Span> matches;
  if (!matcher.FindAll(text, matches).ok()) return 0;
  std::size_t end = 0;
  for (const moesaic::model::Span& match : matches) {
    MOESAIC_CHECK(match.begin >= end && match.begin <= match.end && match.end <= text.size());
    end = match.end;
  }
  return 0;
}
