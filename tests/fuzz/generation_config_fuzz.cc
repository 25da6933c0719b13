// generation_config.json of a checkpoint.
#include "base/check.h"
#include "model/generation_config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = moesaic::model::ParseGenerationConfig(text, "generation_config.json");
  if (config.ok() && config->temperature) MOESAIC_CHECK(*config->temperature >= 0);
  return 0;
}
