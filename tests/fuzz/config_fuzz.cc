// config.json of a checkpoint.
#include "base/check.h"
#include "model/config.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = moesaic::model::ParseConfig(text, "config.json");
  if (!config.ok()) return 0;
  MOESAIC_CHECK(config->hidden_size > 0 && config->num_layers > 0 && config->vocab_size > 0);
  MOESAIC_CHECK(config->attention.num_heads > 0);
  MOESAIC_CHECK(config->moe.gating.top_k <= config->moe.num_experts);
  int last = -1;
  for (const moesaic::base::LayerId layer : config->moe_layers) {
    MOESAIC_CHECK(static_cast<int>(layer.value()) > last);
    last = static_cast<int>(layer.value());
  }
  MOESAIC_CHECK(last < config->num_layers);
  return 0;
}
