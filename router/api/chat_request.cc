#include "router/api/chat_request.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/error_map.h"
#include "router/api/fields.h"

namespace moesaic::router {
namespace {

constexpr std::array<std::string_view, 5> kRoles = {"system", "developer", "user", "assistant",
                                                    "tool"};
// Keys of a message that mean something we cannot do; the rest goes to the template as it is.
constexpr std::array<std::string_view, 5> kUnsupportedMessageKeys = {"tool_calls", "function_call",
                                                                     "prefix", "audio", "refusal"};

absl::Status Invalid(absl::string_view message) { return absl::InvalidArgumentError(message); }

/// A string, or the texts of a list of {"type": "text", "text": …} one after another.
absl::StatusOr<std::string> ReadContent(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  const absl::Status bad = Invalid("must have a string or a list of text parts as content");
  if (!content.is_array()) return bad;
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object()) return bad;
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string()) return bad;
    if (*type != "text") {
      return http::WithErrorCode(
          Invalid(absl::StrCat("has a content part of type '", type->get<std::string>(),
                               "', which is not supported by this server")),
          "unsupported_parameter");
    }
    const auto value = part.find("text");
    if (value == part.end() || !value->is_string()) return bad;
    text += value->get<std::string>();
  }
  return text;
}

absl::StatusOr<Json> ReadMessage(const Json& message) {
  if (!message.is_object()) return Invalid("must be an object");
  const auto role = message.find("role");
  if (role == message.end() || !role->is_string() ||
      std::find(kRoles.begin(), kRoles.end(), role->get<std::string>()) == kRoles.end()) {
    return Invalid("must have a role out of system, developer, user, assistant and tool");
  }
  for (std::string_view key : kUnsupportedMessageKeys) {
    const auto value = message.find(std::string(key));
    if (value == message.end() || value->is_null()) continue;
    const absl::Status status = UnsupportedUnlessNeutral(*value);
    if (!status.ok()) {
      return http::WithErrorCode(
          Invalid(absl::StrCat("has '", base::ToAbsl(key), "', which is not supported here")),
          http::ErrorCodeOf(status));
    }
  }
  Json read = message;
  if (*role == "developer") read["role"] = "system";
  if (const auto reasoning = message.find("reasoning_content"); reasoning != message.end()) {
    // Clients send our answers back: null was no reasoning.
    if (reasoning->is_null()) {
      read.erase("reasoning_content");
    } else if (!reasoning->is_string()) {
      return Invalid("must have a string as reasoning_content");
    }
  }
  const auto content = message.find("content");
  if (content == message.end()) return Invalid("must have content");
  MOESAIC_ASSIGN_OR_RETURN(read["content"], ReadContent(*content));
  return read;
}

/// Takes <think> out of all messages but a final one that is continued. False when there was none.
bool SilenceThinkOpen(ChatPrompt& prompt) {
  bool found = false;
  const std::size_t count = prompt.messages.size() - (prompt.continue_final_message ? 1 : 0);
  for (std::size_t i = 0; i < count; ++i) {
    for (Json& value : prompt.messages[i]) {
      if (!value.is_string()) continue;
      auto& text = value.get_ref<std::string&>();
      // A space in its place, so that what stood around it does not become another.
      found |= absl::StrReplaceAll({{base::ToAbsl(kThinkOpen), " "}}, &text) > 0;
    }
  }
  return found;
}

absl::Status ReadMessages(const Json& value, ChatPrompt& prompt) {
  if (!value.is_array() || value.empty()) {
    return Invalid("must be a list of at least one message");
  }
  for (const Json& message : value) {
    absl::StatusOr<Json> read = ReadMessage(message);
    if (!read.ok()) {
      return NameField(read.status(), absl::StrCat("messages[", prompt.messages.size(), "]"));
    }
    prompt.messages.push_back(*std::move(read));
  }
  return absl::OkStatus();
}

absl::Status ReadTemplateArguments(const Json& value, ChatPrompt& prompt) {
  if (!value.is_object()) return Invalid("must be an object");
  prompt.template_arguments = value;
  return absl::OkStatus();
}

absl::Status ReadResponseFormat(const Json& value, ChatRequest&) {
  const auto type = value.is_object() ? value.find("type") : value.end();
  if (!value.is_object() || type == value.end() || !type->is_string()) {
    return Invalid("must be an object with a type");
  }
  return *type == "text" ? absl::OkStatus() : Unsupported();
}

absl::Status ReadModalities(const Json& value, ChatRequest&) {
  return value == Json::array({"text"}) ? absl::OkStatus() : Unsupported();
}

absl::Status ReadNeutral(const Json& value, ChatRequest&) {
  return UnsupportedUnlessNeutral(value);
}

constexpr Field<ChatPrompt> kPromptFields[] = {
    {"messages", ReadMessages},
    {"add_generation_prompt",
     [](const Json& v, ChatPrompt& p) { return ReadBool(v, p.add_generation_prompt.emplace()); }},
    {"continue_final_message",
     [](const Json& v, ChatPrompt& p) { return ReadBool(v, p.continue_final_message); }},
    {"chat_template_kwargs", ReadTemplateArguments},
};

/// The two fields that only together say what `top_logprobs` of GenerationFields does.
struct ChatFields {
  ChatRequest request;
  bool logprobs = false;
  std::optional<int> top_logprobs;
  std::optional<int> max_completion_tokens;
};

constexpr Field<ChatRequest> kUnbuiltFields[] = {
    {"tools", ReadNeutral},
    {"tool_choice", ReadNeutral},
    {"parallel_tool_calls",
     [](const Json& v, ChatRequest&) {
       bool ignored;
       return ReadBool(v, ignored);
     }},
    {"functions", ReadNeutral},
    {"function_call", ReadNeutral},
    {"response_format", ReadResponseFormat},
    {"modalities", ReadModalities},
    {"audio", ReadNeutral},
    {"chat_template", ReadNeutral},
};

constexpr Field<ChatFields> kChatFields[] = {
    {"logprobs", [](const Json& v, ChatFields& f) { return ReadBool(v, f.logprobs); }},
    {"top_logprobs",
     [](const Json& v, ChatFields& f) { return ReadInt(v, 0, 20, f.top_logprobs); }},
    {"max_completion_tokens",
     [](const Json& v, ChatFields& f) {
       return ReadInt(v, 1, std::numeric_limits<std::int32_t>::max(), f.max_completion_tokens);
     }},
};

absl::Status ReadChatField(std::string_view name, const Json& value, ChatFields& fields,
                           bool& known) {
  MOESAIC_RETURN_IF_ERROR(ReadField<ChatFields>(kChatFields, name, value, fields, known));
  MOESAIC_RETURN_IF_ERROR(
      ReadField<ChatRequest>(kUnbuiltFields, name, value, fields.request, known));
  MOESAIC_RETURN_IF_ERROR(ReadChatPromptField(name, value, fields.request.prompt, known));
  return ReadGenerationField(name, value, fields.request, known);
}

}  // namespace

absl::Status ReadChatPromptField(std::string_view name, const Json& value, ChatPrompt& prompt,
                                 bool& known) {
  return ReadField<ChatPrompt>(kPromptFields, name, value, prompt, known);
}

absl::Status CheckChatPrompt(const ChatPrompt& prompt) {
  if (prompt.messages.empty()) return NameField(Invalid("is required"), "messages");
  if (!prompt.continue_final_message) return absl::OkStatus();
  if (prompt.add_generation_prompt.value_or(false)) {
    return NameField(Invalid("cannot be combined with 'add_generation_prompt'"),
                     "continue_final_message");
  }
  if (prompt.messages.back()["role"] != "assistant") {
    return NameField(Invalid("needs a last message of the assistant"), "continue_final_message");
  }
  return absl::OkStatus();
}

absl::StatusOr<ChatRequest> ParseChatRequest(const Json& body) {
  ChatFields fields;
  for (const auto& [name, value] : body.items()) {
    bool known = false;
    MOESAIC_RETURN_IF_ERROR(ReadChatField(name, value, fields, known));
    if (!known) ++fields.request.unknown_fields;
  }
  if (fields.top_logprobs && !fields.logprobs) {
    return NameField(Invalid("needs 'logprobs' to be true"), "top_logprobs");
  }
  ChatRequest& request = fields.request;
  if (fields.logprobs) request.top_logprobs = fields.top_logprobs.value_or(0);
  if (fields.max_completion_tokens) request.max_tokens = fields.max_completion_tokens;
  if (request.max_tokens == 0) return NameField(Invalid("must be at least 1"), "max_tokens");
  MOESAIC_RETURN_IF_ERROR(CheckChatPrompt(request.prompt));
  MOESAIC_RETURN_IF_ERROR(CheckGenerationFields(request));
  return std::move(fields.request);
}

absl::StatusOr<std::string> RenderChat(const ChatPrompt& prompt,
                                       const model::ChatTemplate& chat_template,
                                       const model::TokenizerConfig& tokenizer_config) {
  Json inputs = prompt.template_arguments;
  inputs["messages"] = prompt.messages;
  inputs["add_generation_prompt"] =
      prompt.add_generation_prompt.value_or(!prompt.continue_final_message);
  if (tokenizer_config.bos_token) inputs["bos_token"] = *tokenizer_config.bos_token;
  if (tokenizer_config.eos_token) inputs["eos_token"] = *tokenizer_config.eos_token;
  MOESAIC_ASSIGN_OR_RETURN(std::string text, chat_template.Render(inputs));
  if (!prompt.continue_final_message) return text;

  // What stands behind the last message (its end-of-turn tokens) goes, as transformers does it
  // (apply_chat_template, continue_final_message): spaces at its end stay if the template kept
  // them.
  const std::string message = prompt.messages.back()["content"].get<std::string>();
  const std::string core(absl::StripAsciiWhitespace(message));
  const std::size_t at = text.rfind(core);
  if (at == std::string::npos) {
    return NameField(Invalid("cannot be served: the chat template changes the last message"),
                     "continue_final_message");
  }
  const std::string with_spaces(absl::StripLeadingAsciiWhitespace(message));
  const bool kept = text.compare(at, with_spaces.size(), with_spaces) == 0;
  text.resize(at + (kept ? with_spaces : core).size());
  return text;
}

absl::StatusOr<AnswerPart> FindAnswerStart(const ChatPrompt& prompt, std::string_view text,
                                           const model::ChatTemplate& chat_template,
                                           const model::TokenizerConfig& tokenizer_config) {
  if (!LeavesThinkingOpen(text)) return AnswerPart::kUndecided;
  // A message may talk of <think>: what is open without such talk is open.
  ChatPrompt silent = prompt;
  if (!SilenceThinkOpen(silent)) return AnswerPart::kReasoning;
  MOESAIC_ASSIGN_OR_RETURN(const std::string rendered,
                           RenderChat(silent, chat_template, tokenizer_config));
  return LeavesThinkingOpen(rendered) ? AnswerPart::kReasoning : AnswerPart::kUndecided;
}

}  // namespace moesaic::router
