#include "monitoring/process_metrics.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::monitoring {
namespace {

using ::testing::HasSubstr;

class FakeClock final : public base::Clock {
 public:
  absl::Duration Monotonic() const override { return now; }
  absl::Time Now() const override { return absl::UnixEpoch() + absl::Seconds(1000) + now; }
  absl::Duration now = absl::Seconds(5);
};

double ValueOf(const std::string& text, const std::string& name) {
  const std::string line = "\n" + name + " ";
  const std::size_t at = text.find(line);
  EXPECT_NE(at, std::string::npos) << name;
  return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
}

TEST(ProcessMetricsTest, TellsWhatTheProcessIsAndUses) {
  FakeClock clock;
  Registry registry;
  ProcessMetrics process(clock);
  process.Export(registry, "moesaic 1.2", "shard", "n1");
  std::string text = registry.Exposition();
  EXPECT_THAT(text, HasSubstr("moesaic_build_info{"));
  EXPECT_THAT(text, HasSubstr("role=\"shard\""));
  EXPECT_EQ(ValueOf(text, "moesaic_start_time_seconds"), 1005);
  EXPECT_GE(ValueOf(text, "moesaic_process_cpu_seconds_total"), 0);
  EXPECT_GT(ValueOf(text, "moesaic_process_resident_bytes"), 1e6);
  EXPECT_LT(ValueOf(text, "moesaic_process_resident_bytes"), 1e10);
  EXPECT_GE(ValueOf(text, "moesaic_process_threads"), 1);
  EXPECT_GE(ValueOf(text, "moesaic_process_open_files"), 1);
  EXPECT_GE(ValueOf(text, "moesaic_network_sent_bytes_total"), 0);
  EXPECT_EQ(ValueOf(text, "moesaic_model_load_seconds"), 0);
  EXPECT_EQ(ValueOf(text, "moesaic_drain_seconds"), 0);

  clock.now += absl::Seconds(3);
  process.Loaded();
  clock.now += absl::Seconds(1);
  process.Loaded();
  process.StartDrain();
  clock.now += absl::Seconds(2);
  process.StartDrain();
  text = registry.Exposition();
  EXPECT_EQ(ValueOf(text, "moesaic_model_load_seconds"), 3);
  EXPECT_EQ(ValueOf(text, "moesaic_drain_seconds"), 2);
}

}  // namespace
}  // namespace moesaic::monitoring
