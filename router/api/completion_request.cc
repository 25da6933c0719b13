#include "router/api/completion_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/api/fields.h"

namespace moesaic::router {
namespace {

constexpr int kDefaultMaxTokens = 16;  // the API's; chat goes to the context limit instead
constexpr std::size_t kMaxPrompts = 1024;
constexpr std::size_t kMaxPromptTokens = 2'000'000;

struct CompletionFields {
  CompletionRequest request;
  std::optional<int> best_of;
};

absl::Status ReadPrompt(const Json& value, CompletionFields& fields) {
  const absl::Status bad = absl::InvalidArgumentError(
      absl::StrCat("must be a string, a list of token ids, or a list of at most ", kMaxPrompts,
                   " strings or lists of token ids"));
  const bool single =
      value.is_string() || (value.is_array() && !value.empty() && value.front().is_number());
  const Json list = single ? Json::array({value}) : value;
  if (!list.is_array() || list.empty() || list.size() > kMaxPrompts) return bad;
  for (const Json& item : list) {
    if (item.is_string()) {
      fields.request.prompts.emplace_back(item.get<std::string>());
      continue;
    }
    std::vector<std::int32_t> ids;
    if (!ReadTokenIds(item, kMaxPromptTokens, ids).ok()) return bad;
    fields.request.prompts.emplace_back(std::move(ids));
  }
  return absl::OkStatus();
}

/// OpenAI wrote false for "no" before it wrote null.
absl::Status ReadLogprobs(const Json& value, CompletionFields& fields) {
  if (value.is_boolean() && !value.get<bool>()) return absl::OkStatus();
  return ReadInt(value, 0, 5, fields.request.top_logprobs);
}

absl::Status ReadNeutral(const Json& value, CompletionFields&) {
  return UnsupportedUnlessNeutral(value);
}

constexpr Field<CompletionFields> kCompletionFields[] = {
    {"prompt", ReadPrompt},
    {"echo", [](const Json& v, CompletionFields& f) { return ReadBool(v, f.request.echo); }},
    {"logprobs", ReadLogprobs},
    {"best_of", [](const Json& v, CompletionFields& f) { return ReadInt(v, 1, 128, f.best_of); }},
    {"suffix", ReadNeutral},
    {"prefix", ReadNeutral},
    {"response_format", ReadNeutral},
};

}  // namespace

absl::StatusOr<CompletionRequest> ParseCompletionRequest(const Json& body) {
  CompletionFields fields;
  CompletionRequest& request = fields.request;
  for (const auto& [name, value] : body.items()) {
    bool known = false;
    MOESAIC_RETURN_IF_ERROR(
        ReadField<CompletionFields>(kCompletionFields, name, value, fields, known));
    MOESAIC_RETURN_IF_ERROR(ReadGenerationField(name, value, request, known));
    if (!known) ++request.unknown_fields;
  }
  if (request.prompts.empty()) {
    return NameField(absl::InvalidArgumentError("is required"), "prompt");
  }
  if (fields.best_of && *fields.best_of != request.n) return NameField(Unsupported(), "best_of");
  if (!request.max_tokens) request.max_tokens = std::max(kDefaultMaxTokens, request.min_tokens);
  if (request.max_tokens == 0 && !request.echo) {
    return NameField(absl::InvalidArgumentError("must be at least 1 without 'echo'"), "max_tokens");
  }
  MOESAIC_RETURN_IF_ERROR(CheckGenerationFields(request));
  return std::move(fields.request);
}

}  // namespace moesaic::router
