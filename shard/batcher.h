#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "rpc/dispatch_message.h"
#include "rpc/dispatch_server.h"

namespace moesaic::shard {

/// A dispatch waiting to be computed. Movable value.
struct Work {
  rpc::StreamId stream = 0;
  std::string router;  ///< Sender of the stream's hello: fairness and limits are per router.
  rpc::Lane lane = rpc::Lane::kDecode;
  absl::Duration received;                             ///< Monotonic.
  absl::Duration deadline = absl::InfiniteDuration();  ///< Monotonic; nobody wants it after this.
  rpc::Dispatch dispatch;

  /// What it costs to compute: its (row, expert) assignments.
  std::uint32_t rows() const { return static_cast<std::uint32_t>(dispatch.row_index.size()); }
  /// What it occupies while it waits.
  std::uint64_t bytes() const;
};

/// Decides what is computed next. Per lane, routers take turns by deficit round-robin in rows (M.
/// Shreedhar, G. Varghese, "Efficient Fair Queuing Using Deficit Round-Robin", 1996); the dispatch
/// whose turn it is takes along all waiting work of its layer and lane, up to a maximum. The decode
/// lane goes first, but prefill keeps a share of the rows. Pure: time is passed in.
/// Single-thread.
class Batcher {
 public:
  struct Options {
    /// Most assignments of one batch; a single larger dispatch still makes a batch of its own.
    std::uint32_t max_batch_rows = 4096;
    /// Most bytes one router may have waiting, over both lanes.
    std::uint64_t queue_bytes_per_router = std::uint64_t{64} << 20;
    /// Rows a router may have computed per turn: one prefill dispatch of usual size.
    std::uint32_t quantum_rows = 256;
    /// Of every 100 rows computed while both lanes wait, prefill gets at least this many.
    /// Below 100.
    std::uint32_t prefill_share_percent = 25;
  };

  /// One layer's work of one lane, to be computed together; empty when nothing waits.
  struct Batch {
    std::vector<Work> works;
    std::uint32_t rows = 0;
  };
  /// What Next found.
  struct Selection {
    Batch batch;
    std::vector<Work> expired;  ///< Dropped: their time has passed.

    bool empty() const { return batch.works.empty() && expired.empty(); }
  };

  explicit Batcher(Options options);

  /// Queues `work`. Returns it back when its router has too many bytes waiting.
  std::optional<Work> Add(Work work);
  /// Takes the next batch out.
  Selection Next(absl::Duration now);
  /// Takes out work of `stream` whose id is listed; other ids are ignored.
  std::vector<Work> Cancel(rpc::StreamId stream, absl::Span<const std::uint64_t> dispatch_ids);
  /// Drops all work of `stream`.
  void CloseStream(rpc::StreamId stream);

  bool empty() const { return works_waiting_ == 0; }
  /// Dispatches waiting, in both lanes.
  std::size_t works_waiting() const { return works_waiting_; }
  /// Assignments waiting in a lane.
  std::uint32_t rows_waiting(rpc::Lane lane) const;

 private:
  /// A router's queue in one lane; it exists while something waits.
  struct RouterQueue {
    std::string router;
    std::deque<Work> works;
    std::int64_t deficit_rows = 0;
  };
  struct LaneQueue {
    std::deque<RouterQueue> ring;  ///< The front's turn is now.
    std::uint32_t rows = 0;
  };

  LaneQueue& lane_queue(rpc::Lane lane);
  /// Accounts for work that left its queue.
  void Forget(const Work& work);
  /// Moves all work for which `wanted` holds out of both lanes.
  template <typename Predicate>
  std::vector<Work> Extract(Predicate wanted);
  /// Turns the ring until the front may compute its first work. Requires: the lane is not empty.
  void GiveTurn(LaneQueue& lane);
  bool PrefillGoesFirst() const;
  /// Credit that computing `rows` prefill rows takes: with share s, s of 100 rows are prefill when
  /// each decode row earns s and each prefill row costs 100 - s.
  std::uint64_t PrefillPrice(std::uint64_t rows) const;
  Batch TakeBatch(LaneQueue& lane);
  void TakeLayer(RouterQueue& queue, base::LayerId layer, Batch& batch);

  const Options options_;
  LaneQueue decode_;
  LaneQueue prefill_;
  absl::flat_hash_map<std::string, std::uint64_t> bytes_of_router_;
  std::size_t works_waiting_ = 0;
  /// What prefill has earned while it waited: its percentage of each decode row computed.
  std::uint64_t prefill_credit_ = 0;
};

}  // namespace moesaic::shard
