// Bodies of the HTTP API: chat and text completions, and a chat's rendering.
#include "base/check.h"
#include "model/chat_template.h"
#include "model/tokenizer_config.h"
#include "router/api/chat_request.h"
#include "router/api/completion_request.h"
#include "router/api/json.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

constexpr const char* kTemplate =
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% if m.tool_calls %}"
    "{{ m.tool_calls | tojson }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking %}<think>\n{% endif %}"
    "{% endif %}";

void CheckFields(const moesaic::router::GenerationFields& fields) {
  MOESAIC_CHECK(fields.n >= 1);
  MOESAIC_CHECK(!fields.max_tokens || *fields.max_tokens >= 0);
  MOESAIC_CHECK(!fields.temperature || *fields.temperature >= 0);
  MOESAIC_CHECK(!fields.top_p || (*fields.top_p >= 0 && *fields.top_p <= 1));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& chat_template =
      *new moesaic::model::ChatTemplate(moesaic::model::ChatTemplate::Compile(kTemplate).value());
  static const auto& config = *new moesaic::model::TokenizerConfig();
  const auto body = moesaic::router::ParseRequestBody(
      std::string_view(reinterpret_cast<const char*>(data), size));
  if (!body.ok()) return 0;
  const auto printed = moesaic::router::ParseRequestBody(moesaic::router::Print(*body));
  MOESAIC_CHECK(printed.ok() && *printed == *body);
  if (const auto chat = moesaic::router::ParseChatRequest(*body); chat.ok()) {
    CheckFields(*chat);
    const auto text = moesaic::router::RenderChat(chat->prompt, chat_template, config);
    if (text.ok()) {
      (void)moesaic::router::FindAnswerStart(chat->prompt, *text, chat_template, config);
    }
  }
  if (const auto completion = moesaic::router::ParseCompletionRequest(*body); completion.ok()) {
    CheckFields(*completion);
    MOESAIC_CHECK(!completion->prompts.empty());
  }
  return 0;
}
