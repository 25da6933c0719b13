#include "base/compute_pool.h"
#include "gtest/gtest.h"
#include "monitoring/process_metrics.h"
#include "shard/dispatch_engine.h"
#include "shard/shard_metrics.h"
#include "tests/testing/series_count.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

/// All metrics of a shard of DeepSeek-V3, each kind of refusal seen. What it holds is a small
/// model's: no series depends on it.
TEST(ShardSeriesTest, OfDeepSeekV3) {
  const auto checkpoint = OpenTinyCheckpoint();
  base::ComputePool pool(1);
  const auto store =
      *ExpertStore::Create(*checkpoint, {.unit_size = 1, .memory_bytes = 1 << 30}, pool);
  rpc::BufferPool buffers;
  const base::Clock& clock = base::Clock::Real();
  FfnExecutor executor({.topology = store->topology(),
                        .hidden_size = checkpoint->config().hidden_size,
                        .intermediate_size = checkpoint->config().moe.expert_intermediate_size,
                        .compute_dtype = base::DType::kBF16},
                       pool, buffers, clock);
  monitoring::Registry registry;
  ShardMetrics metrics(registry, testing::DeepSeekV3Topology());
  DispatchEngine engine({}, *store, executor, metrics, clock);
  ExportShardState(registry, *store, engine, 1 << 30);
  monitoring::ProcessMetrics process(clock);
  process.Export(registry, "1.0.0", "shard", "n1");
  for (int code = 1; code <= static_cast<int>(rpc::DispatchCode::kInternal); ++code) {
    metrics.Refused(static_cast<rpc::DispatchCode>(code));
  }
  const std::size_t series = testing::CountSeries(registry);
  testing::PrintSeries("shard", series);
  EXPECT_GE(series, 40u);
  EXPECT_LE(series, 60u);
}

}  // namespace
}  // namespace moesaic::shard
