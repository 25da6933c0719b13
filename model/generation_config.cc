#include "model/generation_config.h"

#include <limits>
#include <string>

#include "base/status_macros.h"
#include "model/json_reader.h"

namespace moesaic::model {
namespace {

constexpr std::int64_t kMaxTokenId = std::numeric_limits<std::int32_t>::max();

std::optional<float> ToFloat(std::optional<double> value) {
  if (!value) return std::nullopt;
  return static_cast<float>(*value);
}

}  // namespace

absl::StatusOr<GenerationConfig> ParseGenerationConfig(std::string_view json,
                                                       std::string_view path) {
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json object, ParseJsonObject(json, path));
  absl::Status status;
  JsonReader reader(object, std::string(path), status);
  GenerationConfig config;
  config.do_sample = reader.OptionalBool("do_sample");
  config.temperature = ToFloat(reader.OptionalNumber("temperature", 0, 100));
  if (const auto top_k = reader.OptionalInt("top_k", -1, kMaxTokenId)) {
    // 0 and -1 both mean "no limit" in the wild.
    config.top_k = *top_k < 1 ? 0 : static_cast<int>(*top_k);
  }
  config.top_p = ToFloat(reader.OptionalNumber("top_p", 0, 1));
  config.min_p = ToFloat(reader.OptionalNumber("min_p", 0, 1));
  config.repetition_penalty = ToFloat(reader.OptionalNumber("repetition_penalty", 1e-3, 1e3));
  config.max_new_tokens = reader.OptionalInt("max_new_tokens", 1, kMaxTokenId);
  config.bos_token_id = reader.OptionalInt("bos_token_id", 0, kMaxTokenId);
  config.pad_token_id = reader.OptionalInt("pad_token_id", -1, kMaxTokenId);
  if (config.pad_token_id == -1) config.pad_token_id.reset();
  config.eos_token_ids = reader.Ints("eos_token_id", 0, kMaxTokenId, /*or_single=*/true);
  MOESAIC_RETURN_IF_ERROR(status);
  return config;
}

}  // namespace moesaic::model
