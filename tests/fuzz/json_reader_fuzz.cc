// The typed reader of configuration files, over any JSON object.
#include <cmath>

#include "base/check.h"
#include "model/json_reader.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using moesaic::model::JsonReader;

void ReadAll(JsonReader& reader, int depth) {
  const std::int64_t whole = reader.Int("i", -5, 1000);
  MOESAIC_CHECK(whole >= -5 && whole <= 1000);
  const double number = reader.Number("d", -1.5, 2.5);
  MOESAIC_CHECK(std::isfinite(number) && number >= -1.5 && number <= 2.5);
  const std::int64_t fallback = reader.Int("f", 1, 9, 3);
  MOESAIC_CHECK(fallback >= 1 && fallback <= 9);
  reader.OptionalInt("oi", 0, std::int64_t{1} << 62);
  reader.OptionalNumber("on", 0, 1e300);
  reader.Bool("b", true);
  reader.OptionalBool("ob");
  reader.String("s", "none");
  for (const std::int64_t item : reader.Ints("is", 0, 99, /*or_single=*/true)) {
    MOESAIC_CHECK(item >= 0 && item <= 99);
  }
  reader.Strings("ss");
  if (depth > 8) return;
  if (auto inner = reader.Object("o")) ReadAll(*inner, depth + 1);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = moesaic::model::ParseJsonObject(text, "file");
  if (!json.ok()) return 0;
  absl::Status status;
  JsonReader reader(*json, "file", status);
  ReadAll(reader, 0);
  return 0;
}
