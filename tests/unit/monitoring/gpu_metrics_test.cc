#include "monitoring/gpu_metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::monitoring {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(GpuMetricsTest, ReadsWhatCardsTell) {
  GpuMetrics gpus(FAKE_NVML);
  ASSERT_EQ(gpus.count(), 2);
  Registry registry;
  gpus.Refresh(registry);
  gpus.Refresh(registry);
  const std::string text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_utilization_ratio{gpu=\"0\"} 0.75"));
  EXPECT_THAT(text, Not(HasSubstr("moesaic_gpu_utilization_ratio{gpu=\"1\"}")));
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_memory_used_bytes{gpu=\"1\"} 400"));
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_memory_total_bytes{gpu=\"0\"} 1000"));
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_power_watts{gpu=\"0\"} 250.5"));
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_energy_joules_total{gpu=\"0\"} 6"));
  EXPECT_THAT(text, HasSubstr("moesaic_gpu_temperature_celsius{gpu=\"1\"} 61"));
  EXPECT_THAT(text, Not(HasSubstr("ecc_errors_total{")));
}

TEST(GpuMetricsTest, WithoutALibraryThereAreNoSeries) {
  GpuMetrics gpus("libno-such-library.so.1");
  EXPECT_EQ(gpus.count(), 0);
  Registry registry;
  gpus.Refresh(registry);
  EXPECT_EQ(registry.Exposition(), "");
}

TEST(GpuMetricsTest, AnotherLibraryIsNotTakenForIt) {
  EXPECT_EQ(GpuMetrics("libm.so.6").count(), 0);
}

}  // namespace
}  // namespace moesaic::monitoring
