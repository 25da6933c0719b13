#pragma once

#include <memory>

#include "router/api/api_context.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace moesaic::router {

/// moesaic.v1.Inference over the same calls as the HTTP API. `api` must outlive it, and the server
/// it is registered with must be shut down before.
std::unique_ptr<grpc::Service> MakeInferenceService(ApiContext& api);

}  // namespace moesaic::router
