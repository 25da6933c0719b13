#include "shard/batcher.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace moesaic::shard {

std::uint64_t Work::bytes() const {
  return dispatch.rows.size() + sizeof(float) * dispatch.scales.size() +
         (2 * sizeof(std::uint32_t) + sizeof(float)) * std::uint64_t{rows()} +
         sizeof(std::uint32_t) * dispatch.adapter_id.size();
}

Batcher::Batcher(Options options) : options_(options) {}

Batcher::LaneQueue& Batcher::lane_queue(rpc::Lane lane) {
  return lane == rpc::Lane::kPrefill ? prefill_ : decode_;
}

std::uint32_t Batcher::rows_waiting(rpc::Lane lane) const {
  return lane == rpc::Lane::kPrefill ? prefill_.rows : decode_.rows;
}

std::optional<Work> Batcher::Add(Work work) {
  std::uint64_t& bytes = bytes_of_router_[work.router];
  if (bytes + work.bytes() > options_.queue_bytes_per_router) {
    if (bytes == 0) bytes_of_router_.erase(work.router);
    return work;
  }
  bytes += work.bytes();
  ++works_waiting_;
  LaneQueue& lane = lane_queue(work.lane);
  lane.rows += work.rows();
  auto queue = std::find_if(lane.ring.begin(), lane.ring.end(),
                            [&](const RouterQueue& q) { return q.router == work.router; });
  if (queue == lane.ring.end()) {
    lane.ring.push_back({.router = work.router, .works = {}, .deficit_rows = 0});
    queue = std::prev(lane.ring.end());
  }
  queue->works.push_back(std::move(work));
  return std::nullopt;
}

void Batcher::Forget(const Work& work) {
  --works_waiting_;
  lane_queue(work.lane).rows -= work.rows();
  const auto bytes = bytes_of_router_.find(work.router);
  bytes->second -= work.bytes();
  if (bytes->second == 0) bytes_of_router_.erase(bytes);
}

template <typename Predicate>
std::vector<Work> Batcher::Extract(Predicate wanted) {
  std::vector<Work> out;
  for (LaneQueue* lane : {&decode_, &prefill_}) {
    for (RouterQueue& queue : lane->ring) {
      const auto kept = std::stable_partition(queue.works.begin(), queue.works.end(),
                                              [&](const Work& work) { return !wanted(work); });
      for (auto it = kept; it != queue.works.end(); ++it) {
        Forget(*it);
        out.push_back(std::move(*it));
      }
      queue.works.erase(kept, queue.works.end());
    }
    std::erase_if(lane->ring, [](const RouterQueue& queue) { return queue.works.empty(); });
  }
  return out;
}

std::vector<Work> Batcher::Cancel(rpc::StreamId stream,
                                  absl::Span<const std::uint64_t> dispatch_ids) {
  // A set: a message may list a million ids.
  const absl::flat_hash_set<std::uint64_t> wanted(dispatch_ids.begin(), dispatch_ids.end());
  return Extract([&](const Work& work) {
    return work.stream == stream && wanted.contains(work.dispatch.dispatch_id);
  });
}

void Batcher::CloseStream(rpc::StreamId stream) {
  Extract([&](const Work& work) { return work.stream == stream; });
}

Batcher::Selection Batcher::Next(absl::Duration now) {
  Selection selection;
  selection.expired = Extract([&](const Work& work) { return work.deadline <= now; });
  if (empty()) return selection;
  const bool contended = !decode_.ring.empty() && !prefill_.ring.empty();
  const bool prefill = PrefillGoesFirst();
  selection.batch = TakeBatch(prefill ? prefill_ : decode_);
  const std::uint64_t rows = selection.batch.rows;
  if (prefill) {
    prefill_credit_ -= std::min(prefill_credit_, PrefillPrice(rows));
  } else if (contended) {
    prefill_credit_ += rows * options_.prefill_share_percent;
  }
  if (prefill_.ring.empty()) prefill_credit_ = 0;  // what is not wanted is not saved up
  return selection;
}

bool Batcher::PrefillGoesFirst() const {
  if (prefill_.ring.empty()) return false;
  return decode_.ring.empty() ||
         prefill_credit_ >= PrefillPrice(prefill_.ring.front().works.front().rows());
}

std::uint64_t Batcher::PrefillPrice(std::uint64_t rows) const {
  return rows * (100 - options_.prefill_share_percent);
}

void Batcher::GiveTurn(LaneQueue& lane) {
  while (lane.ring.front().deficit_rows < lane.ring.front().works.front().rows()) {
    lane.ring.push_back(std::move(lane.ring.front()));
    lane.ring.pop_front();
    lane.ring.front().deficit_rows += options_.quantum_rows;
  }
}

Batcher::Batch Batcher::TakeBatch(LaneQueue& lane) {
  GiveTurn(lane);
  const base::LayerId layer = lane.ring.front().works.front().dispatch.layer;
  Batch batch;
  for (RouterQueue& queue : lane.ring) TakeLayer(queue, layer, batch);
  std::erase_if(lane.ring, [](const RouterQueue& queue) { return queue.works.empty(); });
  return batch;
}

void Batcher::TakeLayer(RouterQueue& queue, base::LayerId layer, Batch& batch) {
  const auto taken = [&](Work& work) {
    if (work.dispatch.layer != layer) return false;
    if (!batch.works.empty() && batch.rows + work.rows() > options_.max_batch_rows) return false;
    batch.rows += work.rows();
    // Work taken along is paid for too, so that a router in step with others gains nothing.
    queue.deficit_rows -= work.rows();
    Forget(work);
    batch.works.push_back(std::move(work));
    return true;
  };
  std::deque<Work> left;
  for (Work& work : queue.works) {
    if (!taken(work)) left.push_back(std::move(work));
  }
  queue.works = std::move(left);
}

}  // namespace moesaic::shard
