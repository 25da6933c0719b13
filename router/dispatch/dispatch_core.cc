#include "router/dispatch/dispatch_core.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace moesaic::router {
namespace {

/// Only timers run there, and those are not counted.
constexpr std::size_t kTimerLoopQueue = 16;

/// Between two searches for holders: each asks every shard.
constexpr absl::Duration kSearchPause = absl::Seconds(1);

/// Whether streams to `old_info` serve for `new_info` as well. A restarted process breaks its
/// streams by itself, and the client finds the new one at the same address.
bool SameEndpoint(const placement::ShardInfo& old_info, const placement::ShardInfo& new_info) {
  return old_info.address == new_info.address && old_info.name == new_info.name;
}

}  // namespace

/// Passes a stream's events on with the link and lane they belong to.
class ExpertDispatcher::Impl::LaneHandler final : public rpc::DispatchClientHandler {
 public:
  LaneHandler(Impl& owner, ShardLink& link, rpc::Lane lane)
      : owner_(owner), link_(link), lane_(lane) {}
  void OnConnected(const rpc::PeerHello& shard) override {
    owner_.OnConnected(link_, lane_, shard);
  }
  void OnReply(rpc::DispatchReply reply) override {
    owner_.OnReply(link_, lane_, std::move(reply));
  }
  void OnBroken(const absl::Status& status) override { owner_.OnBroken(link_, lane_, status); }

 private:
  Impl& owner_;
  ShardLink& link_;
  const rpc::Lane lane_;
};

ExpertDispatcher::Impl::Impl(Options options)
    : options_(std::move(options)),
      seed_(options_.seed != 0 ? options_.seed : std::random_device()()),
      poller_(options_.spin),
      budget_(options_.budget),
      timer_loop_(kTimerLoopQueue),
      search_(options_.credentials, kSearchPause,
              [this](base::ShardId shard, std::vector<placement::UnitKey> units) {
                OnHolderFound(shard, std::move(units));
              }) {
  poller_.Start();
}

ExpertDispatcher::Impl::~Impl() {
  timer_loop_.Stop();
  search_.Stop();
  std::vector<std::shared_ptr<ShardLink>> links;
  {
    base::MutexLock lock(mutex_);
    for (const auto& [id, link] : links_) links.push_back(link);
  }
  for (const auto& link : links) CloseLink(*link);
  std::vector<Completion> completions;
  {
    base::MutexLock lock(mutex_);
    std::vector<std::shared_ptr<ExpertCallState>> calls;
    for (const auto& [id, active] : calls_) calls.push_back(active.state);
    for (const auto& call : calls) {
      for (std::int32_t slot = 0; slot < call->slot_count(); ++slot) {
        if (call->IsOpen(slot)) {
          call->FailToken(call->token_of(slot), absl::UnavailableError("the router is stopping"));
        }
      }
      CompleteIfDone(call, completions);
    }
    in_flight_.clear();
    waiting_.clear();
  }
  RunCompletions(std::move(completions));
  poller_.Shutdown();
}

std::shared_ptr<ShardLink> ExpertDispatcher::Impl::OpenLink(const placement::ShardInfo& info) {
  auto link = std::make_shared<ShardLink>(info);
  link->price_per_second = PriceOf(info);
  if (options_.metrics != nullptr) {
    link->duration =
        options_.metrics->Get(monitoring::metrics::kDispatchDurationSeconds, {info.name});
  }
  for (const rpc::Lane lane : kLanes) {
    ShardLink::LaneStream& stream = link->stream(lane);
    stream.handler = std::make_unique<LaneHandler>(*this, *link, lane);
    auto client = rpc::DispatchClient::Start({.address = info.address,
                                              .lane = lane,
                                              .hello = options_.hello,
                                              .credentials = options_.credentials,
                                              .initial_backoff = options_.initial_backoff,
                                              .max_backoff = options_.max_backoff},
                                             poller_, pool_, *stream.handler);
    if (!client.ok()) {
      base::LogError("shard ", info.name, " (", info.address, "): ", client.status().ToString());
      CloseLink(*link);
      return nullptr;
    }
    stream.client = *std::move(client);
  }
  return link;
}

void ExpertDispatcher::Impl::CloseLink(ShardLink& link) {
  for (ShardLink::LaneStream& stream : link.streams) {
    if (stream.client != nullptr) stream.client->Stop();
  }
}

void ExpertDispatcher::Impl::SetPlacement(
    std::shared_ptr<const placement::PlacementMap> placement) {
  base::MutexLock serial(placement_mutex_);
  std::vector<std::shared_ptr<ShardLink>> removed;
  std::vector<placement::ShardInfo> added;
  Slots lost;
  {
    base::MutexLock lock(mutex_);
    placement_ = placement;
    load_.SetTopology(placement->topology(), Now());
    searched_ = false;
    for (const auto& [id, link] : links_) {
      const placement::ShardInfo* info = placement->FindShard(id);
      if (info != nullptr && SameEndpoint(link->info, *info)) {
        link->info = *info;
        link->price_per_second = PriceOf(*info);
        link->lacks.clear();
        link->found.clear();
      } else {
        removed.push_back(link);
      }
    }
    for (const auto& link : removed) {
      links_.erase(link->info.id);
      past_counters_[link->info.name] = link->counters;
      for (const rpc::Lane lane : kLanes) {
        link->stream(lane).connected = false;
        ReleaseLane(*link, lane, lost);
      }
    }
    for (const placement::ShardInfo& info : placement->shards()) {
      if (!links_.contains(info.id)) added.push_back(info);
    }
  }
  PlaceAndSend(std::move(lost));
  for (const auto& link : removed) CloseLink(*link);
  for (const placement::ShardInfo& info : added) {
    if (auto link = OpenLink(info)) {
      base::MutexLock lock(mutex_);
      // A shard's counters go on over its links. By name: a coordinator that has started anew gives
      // other numbers.
      link->counters = past_counters_[info.name];
      links_[info.id] = std::move(link);
    }
  }
  RetryWaiting(/*forget_refusals=*/true);
}

bool ExpertDispatcher::Impl::AnyHolder(const placement::UnitKey& unit,
                                       absl::FunctionRef<bool(const ShardLink&)> test) const {
  if (placement_ == nullptr) return false;
  // Not a lambda for any_of: clang would analyse it as if it ran without the lock.
  for (const base::ShardId id : placement_->Holders(unit.layer, unit.unit)) {
    const auto found = links_.find(id);
    if (found != links_.end() && test(*found->second)) return true;
  }
  if (!searched_) return false;
  for (const auto& [id, link] : links_) {
    if (link->found.contains(unit) && test(*link)) return true;
  }
  return false;
}

bool ExpertDispatcher::Impl::HasLiveHolder(const placement::UnitKey& unit) const {
  return AnyHolder(unit, [](const ShardLink& link) { return link.connected(); });
}

absl::Status ExpertDispatcher::Impl::Ready() const {
  base::MutexLock lock(mutex_);
  return MaySkip() ? absl::OkStatus() : AllUnitsHeld();
}

absl::Status ExpertDispatcher::Impl::AllUnitsHeld() const {
  if (placement_ == nullptr) return absl::UnavailableError("no placement yet");
  const placement::ExpertTopology& topology = placement_->topology();
  for (const base::LayerId layer : topology.moe_layers) {
    for (std::uint32_t unit = 0; unit < topology.units_per_layer(); ++unit) {
      if (!HasLiveHolder({layer, base::UnitId(unit)})) {
        return absl::UnavailableError(
            absl::StrCat("layer ", layer.value(), " unit ", unit, ": no connected shard holds it"));
      }
    }
  }
  return absl::OkStatus();
}

placement::LoadReport ExpertDispatcher::Impl::TakeLoad() {
  base::MutexLock lock(mutex_);
  std::vector<ShardDispatchStats> shards;
  for (const auto& [id, link] : links_) {
    shards.push_back(link->Stats());
    link->price_per_second = PriceOf(link->info);  // the price list may have changed
  }
  return load_.Take(shards, Now());
}

DispatchStats ExpertDispatcher::Impl::Stats() const {
  base::MutexLock lock(mutex_);
  DispatchStats stats = stats_;
  stats.waiting_units = waiting_.size();
  stats.budget_left = budget_.left();
  for (const auto& [id, link] : links_) stats.shards.push_back(link->Stats());
  std::sort(stats.shards.begin(), stats.shards.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return stats;
}

}  // namespace moesaic::router
