#pragma once

#include <memory>

#include "grpcpp/security/auth_metadata_processor.h"
#include "rpc/credentials.h"

namespace moesaic::rpc {

/// `authorizer` as gRPC calls it: before the handler of every call, on a server with secure (TLS or
/// local) credentials.
std::shared_ptr<grpc::AuthMetadataProcessor> MakeAuthorizationProcessor(Authorizer authorizer);

}  // namespace moesaic::rpc
