#include "tests/golden/golden.h"

#include <unistd.h>

namespace moesaic::testing {

std::string GoldenDir() { return MOESAIC_GOLDEN_DIR; }

std::optional<std::string> FullGoldenDir() {
  const std::string directory = MOESAIC_FULL_GOLDEN_DIR;
  if (access((directory + "/README.md").c_str(), R_OK) != 0) return std::nullopt;
  return directory;
}

const std::vector<std::string>& GoldenCheckpoints() {
  static const auto& names = *new std::vector<std::string>{
      "deepseek_v2", "deepseek_v2_lite", "deepseek_v3",     "deepseek_v3_fp8", "mixtral",
      "olmoe",       "qwen3_moe",        "qwen3_moe_dense1"};
  return names;
}

}  // namespace moesaic::testing
