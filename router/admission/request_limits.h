#pragma once

#include "absl/status/status.h"
#include "router/scheduler/generation.h"

namespace moesaic::router {

/// What the model and this router can ever serve. Plain value.
struct RequestBounds {
  GenerationLimits limits;
  int moe_layers = 0;
  int top_k = 0;
  int num_experts = 0;
  int max_top_logprobs = 0;
};

/// Positions of KV cache a request occupies at most: its last token is never computed on.
int MaxKvTokens(const GenerationRequest& request);

/// Checks what the engine relies on. Pure.
/// Errors: InvalidArgument for a request that can never be served: an empty prompt, token ids
/// outside the vocabulary, impossible counts, a malformed replay, or more tokens than the context
/// or the whole KV cache holds (error code `context_length_exceeded`, http::WithErrorCode).
absl::Status CheckRequest(const GenerationRequest& request, const RequestBounds& bounds);

}  // namespace moesaic::router
