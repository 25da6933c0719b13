#include "shard/shard_service.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "rpc/status_map.h"

namespace moesaic::shard {
namespace {

/// Longer waits belong to the caller, who can ask again.
constexpr std::uint32_t kMaxDrainMs = 600'000;

}  // namespace

ShardService::ShardService(Options options, const ExpertStore& store, UnitKeeper& keeper,
                           DispatchEngine& engine, std::function<void()> draining)
    : options_(std::move(options)),
      store_(store),
      keeper_(keeper),
      engine_(engine),
      draining_(std::move(draining)) {}

grpc::Status ShardService::LoadUnits(grpc::ServerContext*, const v1::LoadUnitsRequest* request,
                                     v1::LoadUnitsResponse* response) {
  const auto load = [&]() -> absl::Status {
    MOESAIC_ASSIGN_OR_RETURN(const std::vector<placement::UnitKey> units,
                             placement::UnitsFromProto(request->units(), store_.topology()));
    return keeper_.Load(placement::EpochFromProto(request->epoch()), units);
  };
  const absl::Status loaded = load();
  response->set_held_bytes(store_.held_bytes());
  return rpc::ToGrpcStatus(loaded);
}

grpc::Status ShardService::UnloadUnits(grpc::ServerContext*, const v1::UnloadUnitsRequest* request,
                                       v1::UnloadUnitsResponse* response) {
  const auto unload = [&]() -> absl::Status {
    MOESAIC_ASSIGN_OR_RETURN(const std::vector<placement::UnitKey> units,
                             placement::UnitsFromProto(request->units(), store_.topology()));
    return keeper_.Unload(placement::EpochFromProto(request->epoch()), units);
  };
  const absl::Status unloaded = unload();
  response->set_held_bytes(store_.held_bytes());
  return rpc::ToGrpcStatus(unloaded);
}

grpc::Status ShardService::Describe(grpc::ServerContext*, const v1::DescribeRequest*,
                                    v1::DescribeResponse* response) {
  response->set_shard(options_.name);
  response->set_incarnation(options_.incarnation);
  *response->mutable_model() = placement::IdentityToProto(options_.model);
  placement::UnitsToProto(store_.Held(), *response->mutable_units());
  response->set_held_bytes(store_.held_bytes());
  response->set_memory_bytes(store_.memory_bytes());
  *response->mutable_epoch() = placement::EpochToProto(keeper_.epoch());
  response->set_draining(engine_.draining());
  response->set_expert_rows_total(engine_.expert_rows_total());
  response->set_dispatches_total(engine_.dispatches_total());
  response->set_build(options_.build);
  return grpc::Status::OK;
}

grpc::Status ShardService::Drain(grpc::ServerContext*, const v1::DrainRequest* request,
                                 v1::DrainResponse* response) {
  engine_.StartDraining();
  draining_();
  const std::uint32_t timeout_ms = std::min(request->timeout_ms(), kMaxDrainMs);
  response->set_in_flight(engine_.AwaitDrained(absl::Milliseconds(timeout_ms)));
  return grpc::Status::OK;
}

}  // namespace moesaic::shard
