// generation_config.json of a checkpoint.
#include "base/check.h"
#include "model/generation_config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = moesaic::model::ParseGenerationConfig(text, "generation_config.json");
  if (!config.ok()) return 0;
  MOESAIC_CHECK(config->temperature.value_or(0) >= 0 && config->top_k.value_or(0) >= 0);
  for (const float share : {config->top_p.value_or(0), config->min_p.value_or(0)}) {
    MOESAIC_CHECK(share >= 0 && share <= 1);
  }
  MOESAIC_CHECK(config->repetition_penalty.value_or(1) > 0);
  MOESAIC_CHECK(config->max_new_tokens.value_or(0) >= 0);
  for (const std::int64_t id : config->eos_token_ids) MOESAIC_CHECK(id >= 0);
  return 0;
}
