#include "placement/grpc_shard_control.h"

#include <chrono>
#include <utility>

#include "base/status_macros.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/status_map.h"

namespace moesaic::placement {
namespace {

/// A load reads weights from whatever storage there is; a shard that died is noticed by keepalive
/// long before. Half an hour is 180 GB at 100 MB/s.
constexpr std::chrono::minutes kMoveTimeout{30};
/// Addresses without a call in flight are dropped when the map has grown to this.
constexpr std::size_t kMaxChannels = 4096;

}  // namespace

/// A call in flight owns itself until gRPC has completed it. It holds a channel, and the last
/// channel of a process joins gRPC's callback threads as it goes: so those pass the call on to the
/// loop while `channels_` has the channel still.
template <typename Request, typename Response>
struct GrpcShardControl::Call {
  grpc::ClientContext context;
  std::unique_ptr<v1::ExpertShard::Stub> stub;
  Request request;
  Response response;
  Done done;
};

GrpcShardControl::GrpcShardControl(base::Loop& loop) : loop_(loop) {}

GrpcShardControl::~GrpcShardControl() {
  CancelAll();
  base::MutexLock lock(mutex_);
  while (!in_flight_.empty()) idle_.Wait(mutex_);
}

void GrpcShardControl::CancelAll() {
  base::MutexLock lock(mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : in_flight_) context->TryCancel();  // does not block
}

bool GrpcShardControl::Begin(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  if (cancelled_) return false;
  in_flight_.push_back(&context);
  return true;
}

void GrpcShardControl::End(const grpc::ClientContext& context, absl::AnyInvocable<void()> rest) {
  base::MutexLock lock(mutex_);
  std::erase(in_flight_, &context);
  loop_.PostCompletion(std::move(rest));
  if (in_flight_.empty()) idle_.NotifyAll();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> GrpcShardControl::ChannelTo(
    const std::string& address) {
  if (const auto found = channels_.find(address); found != channels_.end()) return found->second;
  if (channels_.size() >= kMaxChannels) {
    std::erase_if(channels_, [](const auto& kept) { return kept.second.use_count() == 1; });
  }
  MOESAIC_ASSIGN_OR_RETURN(auto channel, rpc::MakeChannel(address, {}));
  channels_[address] = channel;
  return channel;
}

template <typename Request, typename Response, typename Start>
void GrpcShardControl::Run(const std::string& address, base::PlacementEpoch epoch,
                           const std::vector<UnitKey>& units, Done done, Start start) {
  auto channel = ChannelTo(address);
  auto call = std::make_shared<Call<Request, Response>>();
  call->done = std::move(done);
  if (!channel.ok() || !Begin(call->context)) {
    const absl::Status status = channel.ok() ? absl::CancelledError("stopping") : channel.status();
    loop_.PostCompletion([call, status] { call->done(status); });
    return;
  }
  call->stub = v1::ExpertShard::NewStub(*channel);
  call->context.set_deadline(std::chrono::system_clock::now() + kMoveTimeout);
  *call->request.mutable_epoch() = EpochToProto(epoch);
  UnitsToProto(units, *call->request.mutable_units());
  start(*call, [this, call](const grpc::Status& status) mutable {
    const grpc::ClientContext& context = call->context;
    End(context,
        [call = std::move(call), status = rpc::FromGrpcStatus(status)] { call->done(status); });
  });
}

void GrpcShardControl::Load(const std::string& address, base::PlacementEpoch epoch,
                            const std::vector<UnitKey>& units, Done done) {
  Run<v1::LoadUnitsRequest, v1::LoadUnitsResponse>(
      address, epoch, units, std::move(done), [](auto& call, auto completed) {
        call.stub->async()->LoadUnits(&call.context, &call.request, &call.response,
                                      std::move(completed));
      });
}

void GrpcShardControl::Unload(const std::string& address, base::PlacementEpoch epoch,
                              const std::vector<UnitKey>& units, Done done) {
  Run<v1::UnloadUnitsRequest, v1::UnloadUnitsResponse>(
      address, epoch, units, std::move(done), [](auto& call, auto completed) {
        call.stub->async()->UnloadUnits(&call.context, &call.request, &call.response,
                                        std::move(completed));
      });
}

}  // namespace moesaic::placement
