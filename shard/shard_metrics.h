#pragma once

#include <string_view>
#include <vector>

#include "monitoring/registry.h"
#include "placement/view/topology.h"
#include "rpc/dispatch_message.h"
#include "rpc/handshake.h"
#include "shard/expert_store.h"
#include "shard/ffn_executor.h"

namespace moesaic::shard {

class DispatchEngine;

/// The series the dispatch engine records itself, looked up once. Thread-safe.
class ShardMetrics {
 public:
  ShardMetrics(monitoring::Registry& registry, const placement::ExpertTopology& topology);

  /// A dispatch came.
  void Received(const rpc::Dispatch& dispatch);
  /// It was refused.
  void Refused(rpc::DispatchCode code);
  /// A batch was computed; its answers are about to be sent.
  void Computed(const FfnExecutor::Outcome& outcome);

  /// Seconds of all batches.
  double busy_seconds() const { return busy_[0].Value() + busy_[1].Value(); }

 private:
  monitoring::Registry& registry_;
  monitoring::Counter batches_;
  monitoring::Histogram batch_tokens_;
  monitoring::Counter received_bytes_;
  monitoring::Counter sent_bytes_;
  monitoring::Counter answered_ok_;
  std::vector<monitoring::Counter> busy_;        // by lane: decode, prefill
  std::vector<monitoring::Counter> queue_wait_;  // by lane
  std::vector<monitoring::Counter> rows_;        // by group of layers
};

/// Makes every scrape of `registry` show what the shard holds and is about to do. All of them must
/// outlive the last scrape.
void ExportShardState(monitoring::Registry& registry, const ExpertStore& store,
                      const DispatchEngine& engine, std::uint64_t memory_bytes);

}  // namespace moesaic::shard
