#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "rpc/dispatch_server.h"
#include "shard/batcher.h"
#include "shard/expert_store.h"
#include "shard/ffn_executor.h"
#include "shard/shard_metrics.h"
#include "shard/speed_meter.h"

namespace moesaic::shard {

/// Turns dispatches into replies: checks them, queues them, and computes batch after batch, never
/// waiting for a batch to fill. Thread-safe.
class DispatchEngine final : public rpc::DispatchHandler {
 public:
  struct Options {
    std::uint32_t hidden_size = 0;
    rpc::WireDtype wire_dtype =
        rpc::WireDtype::kBF16;  ///< The only one accepted: bits depend on it.
    Batcher::Options batching;
  };
  /// Where replies go: DispatchServer::Reply, or a test's list.
  using ReplySink = std::function<void(rpc::StreamId, const rpc::DispatchReply&)>;

  /// All borrowed; `executor` is used by this engine alone.
  DispatchEngine(Options options, const ExpertStore& store, FfnExecutor& executor,
                 ShardMetrics& metrics, const base::Clock& clock);
  /// Waits for the batch in progress.
  ~DispatchEngine() override;

  /// To be called once, before the first dispatch.
  void SetReplySink(ReplySink sink) { reply_ = std::move(sink); }

  absl::Status OnOpen(rpc::StreamId stream, const rpc::PeerHello& router) override;
  void OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) override;
  void OnCancel(rpc::StreamId stream, absl::Span<const std::uint64_t> dispatch_ids) override;
  void OnClose(rpc::StreamId stream) override;

  /// Refuses new streams and dispatches (DRAINING) from now on.
  void StartDraining();
  /// Waits until the dispatches taken are answered, at most `timeout`. Returns how many are not.
  std::uint32_t AwaitDrained(absl::Duration timeout);
  /// Waits until nothing is being computed; queued work is dropped. For shutting down after the
  /// server stopped.
  void Stop();
  bool draining() const;

  /// Assignments waiting.
  std::uint32_t rows_waiting(rpc::Lane lane) const;
  /// Assignments (row, expert) computed.
  std::uint64_t expert_rows_total() const { return expert_rows_total_; }
  /// What the batches computed so far say of this shard's speed.
  SpeedMeter& speed_meter() { return speed_; }
  const SpeedMeter& speed_meter() const { return speed_; }
  /// Dispatches received.
  std::uint64_t dispatches_total() const { return dispatches_total_; }

 private:
  struct Peer {
    std::string router;
    rpc::Lane lane = rpc::Lane::kDecode;
  };

  /// Why `dispatch` cannot be computed whatever is held; OK when it can.
  absl::Status CheckDispatch(const rpc::Dispatch& dispatch) const;
  void Refuse(rpc::StreamId stream, std::uint64_t dispatch_id, rpc::DispatchCode code,
              std::string error) const;
  /// Answers `works`, which `refusing_` counts, and takes them off it.
  void RefuseAll(const std::vector<Work>& works, rpc::DispatchCode code, const char* error);
  /// Starts the next batch unless one is in progress or nothing waits. On the polling thread.
  void Pump();
  /// Whether the polling thread itself computes `batch`: a small one, of the only router that
  /// decodes here, so that nothing to be computed with it can arrive meanwhile.
  bool ComputedHere(const Batcher::Batch& batch) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  /// Takes the next batch, which is then in progress, and what has expired.
  Batcher::Selection TakeNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Run(Batcher::Selection selection, bool here);
  void Finish(FfnExecutor::Outcome outcome);

  const Options options_;
  const ExpertStore& store_;
  FfnExecutor& executor_;
  ShardMetrics& metrics_;
  const base::Clock& clock_;
  ReplySink reply_;

  std::atomic<std::uint64_t> expert_rows_total_{0};
  std::atomic<std::uint64_t> dispatches_total_{0};
  SpeedMeter speed_;

  mutable base::Mutex mutex_;
  base::CondVar idle_;
  absl::flat_hash_map<rpc::StreamId, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  Batcher batcher_ ABSL_GUARDED_BY(mutex_);
  std::uint32_t computing_ ABSL_GUARDED_BY(mutex_) = 0;  // works of the batch in progress
  std::uint32_t refusing_ ABSL_GUARDED_BY(mutex_) = 0;   // taken from the batcher to be refused
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace moesaic::shard
