#include "router/api/text_endpoints.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status_macros.h"
#include "http/error_map.h"
#include "router/api/fields.h"

namespace moesaic::router {
namespace {

constexpr std::size_t kMaxDetokenizeTokens = 2'000'000;

struct TokenizeRequest {
  std::string model;
  std::optional<std::string> prompt;
  ChatPrompt chat;
  std::optional<bool> add_special_tokens;
  bool return_token_strs = false;
};

constexpr Field<TokenizeRequest> kTokenizeFields[] = {
    {"model", [](const Json& v, TokenizeRequest& r) { return ReadString(v, r.model); }},
    {"prompt", [](const Json& v, TokenizeRequest& r) { return ReadString(v, r.prompt.emplace()); }},
    {"add_special_tokens",
     [](const Json& v, TokenizeRequest& r) { return ReadBool(v, r.add_special_tokens.emplace()); }},
    {"return_token_strs",
     [](const Json& v, TokenizeRequest& r) { return ReadBool(v, r.return_token_strs); }},
};

struct DetokenizeRequest {
  std::string model;
  std::optional<std::vector<std::int32_t>> tokens;
};

constexpr Field<DetokenizeRequest> kDetokenizeFields[] = {
    {"model", [](const Json& v, DetokenizeRequest& r) { return ReadString(v, r.model); }},
    {"tokens",
     [](const Json& v, DetokenizeRequest& r) {
       return ReadTokenIds(v, kMaxDetokenizeTokens, r.tokens.emplace());
     }},
};

absl::StatusOr<TokenizeRequest> ParseTokenizeRequest(ApiContext& api, const Json& body) {
  TokenizeRequest request;
  int unknown = 0;
  for (const auto& [name, value] : body.items()) {
    bool known = false;
    MOESAIC_RETURN_IF_ERROR(
        ReadField<TokenizeRequest>(kTokenizeFields, name, value, request, known));
    MOESAIC_RETURN_IF_ERROR(ReadChatPromptField(name, value, request.chat, known));
    if (!known) ++unknown;
  }
  api.CountUnknownFields(unknown);
  if (!request.prompt) MOESAIC_RETURN_IF_ERROR(CheckChatPrompt(request.chat));
  return request;
}

absl::Status Tokenize(ApiContext& api, const ApiExchange& exchange) {
  MOESAIC_ASSIGN_OR_RETURN(const Json body, ParseRequestBody(exchange.exchange->request().body));
  MOESAIC_ASSIGN_OR_RETURN(const TokenizeRequest request, ParseTokenizeRequest(api, body));
  MOESAIC_RETURN_IF_ERROR(api.CheckModel(request.model));
  const model::Tokenizer& tokenizer = api.parts().tokenizer;
  std::vector<std::int32_t> tokens;
  if (request.prompt) {
    const bool add_special_tokens = request.add_special_tokens.value_or(true);
    MOESAIC_ASSIGN_OR_RETURN(
        tokens, tokenizer.Encode(*request.prompt, {.add_special_tokens = add_special_tokens}));
  } else {
    MOESAIC_ASSIGN_OR_RETURN(
        EncodedChat chat, api.EncodeChat(request.chat, request.add_special_tokens.value_or(false)));
    tokens = std::move(chat.token_ids);
  }
  Json token_strs = nullptr;
  if (request.return_token_strs) {
    token_strs = Json::array();
    for (const std::int32_t id : tokens) {
      const std::string* spelling = tokenizer.IdToToken(id);
      token_strs.push_back(spelling != nullptr ? *spelling : std::string());
    }
  }
  exchange.Respond({{"count", tokens.size()},
                    {"max_model_len", api.parts().generator.limits().max_model_len},
                    {"tokens", tokens},
                    {"token_strs", std::move(token_strs)}});
  return absl::OkStatus();
}

absl::Status Detokenize(ApiContext& api, const ApiExchange& exchange) {
  MOESAIC_ASSIGN_OR_RETURN(const Json body, ParseRequestBody(exchange.exchange->request().body));
  DetokenizeRequest request;
  int unknown = 0;
  for (const auto& [name, value] : body.items()) {
    bool known = false;
    MOESAIC_RETURN_IF_ERROR(
        ReadField<DetokenizeRequest>(kDetokenizeFields, name, value, request, known));
    if (!known) ++unknown;
  }
  api.CountUnknownFields(unknown);
  MOESAIC_RETURN_IF_ERROR(api.CheckModel(request.model));
  if (!request.tokens) return NameField(absl::InvalidArgumentError("is required"), "tokens");
  exchange.Respond(
      {{"prompt", api.parts().tokenizer.Decode(*request.tokens, /*skip_special_tokens=*/false)}});
  return absl::OkStatus();
}

}  // namespace

void ServeTokenize(ApiContext& api, std::shared_ptr<http::Exchange> exchange) {
  api.RunOnFrontEnd(std::move(exchange), RequestKind::kText,
                    [&api](const ApiExchange& named, const std::shared_ptr<Strand>&) {
                      return Tokenize(api, named);
                    });
}

void ServeDetokenize(ApiContext& api, std::shared_ptr<http::Exchange> exchange) {
  api.RunOnFrontEnd(std::move(exchange), RequestKind::kText,
                    [&api](const ApiExchange& named, const std::shared_ptr<Strand>&) {
                      return Detokenize(api, named);
                    });
}

}  // namespace moesaic::router
