#include "services/cli/bench/answer_chunk.h"

#include <nlohmann/json.hpp>

namespace moesaic::services {
namespace {

using Json = nlohmann::json;

/// A member of an object, or null.
const Json& At(const Json& object, const char* name) {
  static const Json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

bool HasText(const Json& value) {
  return value.is_string() && !value.get_ref<const std::string&>().empty();
}

std::int64_t Count(const Json& value) {
  return value.is_number_integer() ? value.get<std::int64_t>() : -1;
}

}  // namespace

AnswerChunk ReadAnswerChunk(std::string_view data) {
  AnswerChunk chunk;
  const Json json = Json::parse(data, nullptr, false);
  if (!json.is_object()) return chunk;
  chunk.valid = true;
  if (const Json& error = At(json, "error"); !error.is_null()) {
    const Json& message = At(error, "message");
    chunk.error = HasText(message) ? message.get<std::string>() : "an error without a message";
  }
  if (const Json& choices = At(json, "choices"); choices.is_array()) {
    for (const Json& choice : choices) {
      const Json& delta = At(choice, "delta");
      chunk.content = chunk.content || HasText(At(choice, "text")) ||
                      HasText(At(delta, "content")) || HasText(At(delta, "reasoning_content")) ||
                      HasText(At(delta, "reasoning"));
    }
  }
  const Json& usage = At(json, "usage");
  chunk.prompt_tokens = Count(At(usage, "prompt_tokens"));
  chunk.output_tokens = Count(At(usage, "completion_tokens"));
  chunk.cached_tokens = Count(At(At(usage, "prompt_tokens_details"), "cached_tokens"));
  return chunk;
}

}  // namespace moesaic::services
