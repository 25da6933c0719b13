#include "rpc/authorization.h"

#include <string>
#include <utility>

#include "rpc/status_map.h"

namespace moesaic::rpc {
namespace {

class AuthorizationProcessor final : public grpc::AuthMetadataProcessor {
 public:
  explicit AuthorizationProcessor(Authorizer authorizer) : authorizer_(std::move(authorizer)) {}

  /// An authoriser must not block, so gRPC needs no thread for it.
  bool IsBlocking() const override { return false; }

  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext* context, OutputMetadata*,
                       OutputMetadata*) override {
    const auto path = metadata.find(":path");
    if (path == metadata.end()) {
      return grpc::Status(grpc::StatusCode::INTERNAL, "a call without a method");
    }
    Peer peer;
    for (const grpc::string_ref& identity : context->GetPeerIdentity()) {
      peer.identities.emplace_back(identity.data(), identity.size());
    }
    return ToGrpcStatus(authorizer_({path->second.data(), path->second.size()}, peer));
  }

 private:
  const Authorizer authorizer_;
};

}  // namespace

std::shared_ptr<grpc::AuthMetadataProcessor> MakeAuthorizationProcessor(Authorizer authorizer) {
  return std::make_shared<AuthorizationProcessor>(std::move(authorizer));
}

}  // namespace moesaic::rpc
