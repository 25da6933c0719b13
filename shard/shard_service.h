#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "grpcpp/server_context.h"
#include "rpc/dispatch_server.h"
#include "shard/dispatch_engine.h"
#include "shard/expert_store.h"
#include "shard/unit_keeper.h"

namespace moesaic::shard {

/// The unary half of ExpertShard: translates between messages and the shard's parts. Handlers may
/// block (a load takes as long as reading the weights). Thread-safe.
class ShardService final : public rpc::ExpertShardServiceBase {
 public:
  struct Options {
    std::string name;
    std::string build;
    std::uint64_t incarnation = 0;
    placement::ModelIdentity model;
  };

  /// All borrowed.
  ShardService(Options options, const ExpertStore& store, UnitKeeper& keeper,
               DispatchEngine& engine, std::function<void()> draining);

  grpc::Status LoadUnits(grpc::ServerContext* context, const v1::LoadUnitsRequest* request,
                         v1::LoadUnitsResponse* response) override;
  grpc::Status UnloadUnits(grpc::ServerContext* context, const v1::UnloadUnitsRequest* request,
                           v1::UnloadUnitsResponse* response) override;
  grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRequest* request,
                        v1::DescribeResponse* response) override;
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override;

 private:
  const Options options_;
  const ExpertStore& store_;
  UnitKeeper& keeper_;
  DispatchEngine& engine_;
  const std::function<void()> draining_;
};

}  // namespace moesaic::shard
