// UTF-8 of any bytes: validity, lossy reading whole and in pieces, JSON strings.
#include "base/check.h"
#include "base/json_text.h"
#include "model/unicode_normalization.h"
#include "model/utf8.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace moesaic::model;
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t cut = input.Byte();
  const std::string_view text = input.Rest();

  std::string whole;
  MOESAIC_CHECK(AppendLossy(text, /*at_end=*/true, whole) == text.size());
  MOESAIC_CHECK(IsValidUtf8(whole));
  MOESAIC_CHECK((whole == text) == IsValidUtf8(text));

  std::string pieces;
  const std::string_view first = text.substr(0, cut);
  const std::size_t done = AppendLossy(first, /*at_end=*/false, pieces);
  MOESAIC_CHECK(done <= first.size() && first.size() - done < 4);
  AppendLossy(text.substr(done), /*at_end=*/true, pieces);
  MOESAIC_CHECK(pieces == whole);

  std::string json;
  moesaic::base::AppendJsonString(text, json);
  const std::string read = nlohmann::json::parse(json).get<std::string>();
  MOESAIC_CHECK(IsValidUtf8(text) ? read == whole : IsValidUtf8(read));

  MOESAIC_CHECK(ToUtf8(ToUtf32(whole)) == whole);
  MOESAIC_CHECK(ToUtf32(whole).size() == CountChars(whole));
  return 0;
}
