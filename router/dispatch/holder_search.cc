#include "router/dispatch/holder_search.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "proto/moesaic/v1/expert_shard.grpc.pb.h"
#include "rpc/channel_factory.h"
#include "rpc/status_map.h"

namespace moesaic::router {
namespace {

/// A shard that does not say within this time is left out.
constexpr auto kDescribeTimeout = std::chrono::milliseconds(500);

absl::Duration Now() { return base::Clock::Real().Monotonic(); }

}  // namespace

HolderSearch::HolderSearch(rpc::Credentials credentials, absl::Duration pause, Found found)
    : credentials_(std::move(credentials)),
      pause_(pause),
      found_(std::move(found)),
      thread_([this] { Run(); }) {}

HolderSearch::~HolderSearch() { Stop(); }

void HolderSearch::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();  // does not block
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void HolderSearch::Request(std::vector<Target> targets, placement::ExpertTopology topology) {
  {
    base::MutexLock lock(mutex_);
    if (wanted_ || Now() < not_before_) return;
    wanted_ = {std::move(targets), std::move(topology)};
  }
  wake_.NotifyAll();
}

void HolderSearch::Run() {
  while (true) {
    Search search;
    {
      base::MutexLock lock(mutex_);
      while (!stopping_ && !wanted_) wake_.Wait(mutex_);
      if (stopping_) return;
      search = *wanted_;
    }
    for (const Target& target : search.targets) Ask(target, search.topology);
    base::MutexLock lock(mutex_);
    wanted_.reset();
    not_before_ = Now() + pause_;
  }
}

void HolderSearch::Ask(const Target& target, const placement::ExpertTopology& topology) {
  const auto channel = rpc::MakeChannel(target.address, {.credentials = credentials_});
  if (!channel.ok()) return;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDescribeTimeout);
  if (!Begin(context)) return;
  v1::DescribeResponse shard;
  const grpc::Status asked = v1::ExpertShard::NewStub(*channel)->Describe(&context, {}, &shard);
  End();
  if (!asked.ok()) {
    base::LogInfo("shard at ", target.address,
                  " does not say what it holds: ", rpc::FromGrpcStatus(asked).ToString());
    return;
  }
  auto units = placement::UnitsFromProto(shard.units(), topology);
  if (units.ok()) found_(target.id, *std::move(units));
}

bool HolderSearch::Begin(grpc::ClientContext& context) {
  base::MutexLock lock(mutex_);
  if (stopping_) return false;
  context_ = &context;
  return true;
}

void HolderSearch::End() {
  base::MutexLock lock(mutex_);
  context_ = nullptr;
}

}  // namespace moesaic::router
