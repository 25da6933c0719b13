#include "shard/shard_metrics.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "monitoring/raise_to.h"
#include "shard/dispatch_engine.h"

namespace moesaic::shard {
namespace {

namespace metrics = monitoring::metrics;

/// Layers that share a series.
constexpr std::uint32_t kLayersPerGroup = 8;

std::size_t LaneIndex(rpc::Lane lane) { return lane == rpc::Lane::kDecode ? 0 : 1; }

}  // namespace

ShardMetrics::ShardMetrics(monitoring::Registry& registry,
                           const placement::ExpertTopology& topology)
    : registry_(registry),
      batches_(registry.Get(metrics::kShardBatchesTotal)),
      batch_tokens_(registry.Get(metrics::kShardBatchTokens)),
      received_bytes_(registry.Get(metrics::kShardReceivedBytesTotal)),
      sent_bytes_(registry.Get(metrics::kShardSentBytesTotal)),
      answered_ok_(registry.Get(metrics::kShardDispatchesTotal,
                                {rpc::DispatchCodeName(rpc::DispatchCode::kOk)})) {
  for (const std::string_view lane : {"decode", "prefill"}) {
    busy_.push_back(registry.Get(metrics::kBusySecondsTotal, {lane}));
    queue_wait_.push_back(registry.Get(metrics::kShardQueueWaitSecondsTotal, {lane}));
  }
  const std::uint32_t last = topology.moe_layers.empty() ? 0 : topology.moe_layers.back().value();
  for (std::uint32_t first = 0; first <= last; first += kLayersPerGroup) {
    rows_.push_back(registry.Get(metrics::kExpertRowsTotal,
                                 {absl::StrCat(first, "-", first + kLayersPerGroup - 1)}));
  }
}

void ShardMetrics::Received(const rpc::Dispatch& dispatch) {
  received_bytes_.Increment(static_cast<double>(dispatch.rows.size()));
}

void ShardMetrics::Refused(rpc::DispatchCode code) {
  registry_.Get(metrics::kShardDispatchesTotal, {rpc::DispatchCodeName(code)}).Increment();
}

void ShardMetrics::Computed(const FfnExecutor::Outcome& outcome) {
  batches_.Increment();
  batch_tokens_.Observe(static_cast<double>(outcome.expert_rows));
  double sent = 0, waited = 0;
  int ok = 0;
  for (const FfnExecutor::Result& result : outcome.results) {
    sent += static_cast<double>(result.reply.rows.size());
    waited += 1e-6 * static_cast<double>(result.reply.queue_wait_us);
    if (result.reply.code == rpc::DispatchCode::kOk) {
      ++ok;
    } else {
      Refused(result.reply.code);
    }
  }
  sent_bytes_.Increment(sent);
  answered_ok_.Increment(ok);
  if (outcome.results.empty()) return;
  const Work& first = outcome.results.front().work;  // a batch is of one layer and one lane
  busy_[LaneIndex(first.lane)].Increment(absl::ToDoubleSeconds(outcome.compute));
  queue_wait_[LaneIndex(first.lane)].Increment(waited);
  const std::size_t group = first.dispatch.layer.value() / kLayersPerGroup;
  if (group < rows_.size()) rows_[group].Increment(static_cast<double>(outcome.expert_rows));
}

void ExportShardState(monitoring::Registry& registry, const ExpertStore& store,
                      const DispatchEngine& engine, std::uint64_t memory_bytes) {
  registry.Get(metrics::kShardMemoryBytes).Set(static_cast<double>(memory_bytes));
  registry.OnScrape([&registry, &store, &engine] {
    registry.Get(metrics::kShardHeldUnits).Set(static_cast<double>(store.Held().size()));
    registry.Get(metrics::kShardHeldBytes).Set(static_cast<double>(store.held_bytes()));
    const SpeedMeter::Speed speed = engine.speed_meter().speed();
    registry.Get(metrics::kSecondsPerRow).Set(1e-6 * speed.us_per_row);
    registry.Get(metrics::kSecondsPerExpert).Set(1e-6 * speed.us_per_expert);
    registry.Get(metrics::kDraining).Set(engine.draining());
    registry.Get(metrics::kShardQueueRows, {"decode"}).Set(engine.rows_waiting(rpc::Lane::kDecode));
    registry.Get(metrics::kShardQueueRows, {"prefill"})
        .Set(engine.rows_waiting(rpc::Lane::kPrefill));
    monitoring::RaiseTo(static_cast<double>(store.loads_total()),
                        registry.Get(metrics::kUnitLoadsTotal));
  });
}

}  // namespace moesaic::shard
