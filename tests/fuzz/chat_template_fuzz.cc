// A chat template, and its rendering within small bounds.
#include <string>

#include "base/check.h"
#include "model/chat_template.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

const nlohmann::ordered_json& Inputs() {
  static const auto& inputs = *new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "You are"},
                 {"role": "user", "content": "a b\nc <x> \u00e9 \u4e2d"},
                 {"role": "assistant", "content": null,
                  "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"k": [1, 2.5]}}}]},
                 {"role": "tool", "content": "{\"a\": 1}"}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "eos_token": "</s>",
    "n": 7, "x": -1.5, "big": 9223372036854775807, "none": null, "list": [3, 1, 2, "b", "a"]})"));
  return inputs;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  const auto compiled = moesaic::model::ChatTemplate::Compile(source);
  if (!compiled.ok()) return 0;
  constexpr std::size_t kMaxBytes = 1 << 16;
  const auto text =
      compiled->Render(Inputs(), {.max_steps = 2000, .max_depth = 60, .max_bytes = kMaxBytes});
  if (text.ok()) MOESAIC_CHECK(text->size() <= kMaxBytes);
  return 0;
}
