#pragma once

#include <memory>

#include "http/exchange.h"
#include "router/api/api_context.h"

namespace moesaic::router {

/// POST /v1/chat/completions.
void ServeChatCompletion(ApiContext& api, std::shared_ptr<http::Exchange> exchange);
/// POST /v1/completions.
void ServeCompletion(ApiContext& api, std::shared_ptr<http::Exchange> exchange);

}  // namespace moesaic::router
