#pragma once

#include <memory>

#include "http/exchange.h"
#include "router/api/api_context.h"

namespace moesaic::router {

/// POST /tokenize, in vLLM's shape: {prompt} or {messages} → {count, max_model_len, tokens,
/// token_strs}.
void ServeTokenize(ApiContext& api, std::shared_ptr<http::Exchange> exchange);
/// POST /detokenize: {tokens} → {prompt}.
void ServeDetokenize(ApiContext& api, std::shared_ptr<http::Exchange> exchange);

}  // namespace moesaic::router
