#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/chat_template.h"
#include "model/tokenizer.h"
#include "router/api/generation_fields.h"
#include "router/api/json.h"
#include "router/api/reasoning_parser.h"

namespace moesaic::router {

/// The conversation of a chat request, or of /tokenize. Plain value.
struct ChatPrompt {
  /// Checked: roles are known, content is a string (text parts are joined); "developer", which few
  /// templates know, has become "system".
  Json messages = Json::array();
  std::optional<bool> add_generation_prompt;
  bool continue_final_message = false;
  Json template_arguments = Json::object();
};

/// A body of /v1/chat/completions. Plain value.
struct ChatRequest : GenerationFields {
  ChatPrompt prompt;
};

/// Errors: InvalidArgument naming the field (http::ParamOf); code unsupported_parameter for fields
/// of the API that are not built.
absl::StatusOr<ChatRequest> ParseChatRequest(const Json& body);

/// Reads `value` if `name` is a field of ChatPrompt.
absl::Status ReadChatPromptField(std::string_view name, const Json& value, ChatPrompt& prompt,
                                 bool& known);
/// Checks that span several fields of a ChatPrompt.
absl::Status CheckChatPrompt(const ChatPrompt& prompt);

/// The text the model continues. Errors: those of ChatTemplate::Render; InvalidArgument when
/// continue_final_message finds the template to have changed the message.
absl::StatusOr<std::string> RenderChat(const ChatPrompt& prompt,
                                       const model::ChatTemplate& chat_template,
                                       const model::TokenizerConfig& tokenizer_config);

/// Where the answer to `prompt`, rendered as `text`, starts: in the reasoning when the template has
/// opened it, or the final message that is continued has. What other messages say of <think> does
/// not count. Errors: those of RenderChat.
absl::StatusOr<AnswerPart> FindAnswerStart(const ChatPrompt& prompt, std::string_view text,
                                           const model::ChatTemplate& chat_template,
                                           const model::TokenizerConfig& tokenizer_config);

}  // namespace moesaic::router
