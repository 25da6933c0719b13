#include "services/cli/top_view.h"

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

v1::DescribeClusterResponse Sample() {
  v1::DescribeClusterResponse cluster;
  cluster.mutable_model()->set_model_id("demo");
  v1::ClusterSummary& summary = *cluster.mutable_summary();
  summary.set_health(v1::HEALTH_IMPAIRED);
  summary.set_sentence("Serving, but shard-2 is lost from sight. 412 tokens/s.");
  summary.set_advice("Look at its log.");
  summary.set_tokens_per_s(412);
  summary.set_capacity_tokens_per_s(1000);
  summary.set_bottleneck("shard-1");
  summary.set_ttft_p50_ms(42);
  summary.set_currency("USD");
  summary.set_cost_per_hour(3.2);
  v1::TenantStatus& tenant = *summary.add_tenants();
  tenant.set_tenant("alice\033[2J");
  tenant.set_generated_tokens(700);
  tenant.set_cost_per_million_tokens(1.25);
  for (const char* name : {"shard-1", "shard-2"}) {
    v1::ShardStatus& shard = *cluster.add_shards();
    shard.mutable_placed()->set_shard(name);
    shard.set_state(cluster.shards_size() == 1 ? "SERVING" : "SUSPECT");
    shard.set_busy_ratio(0.5);
    shard.set_held_bytes(1);
    shard.set_memory_bytes(4);
  }
  cluster.add_routers()->set_router("router-1");
  for (int i = 0; i < 20; ++i) {
    v1::Event& event = *cluster.add_events();
    event.set_age_s(100 - i);
    event.set_text("event " + std::to_string(i));
  }
  return cluster;
}

TEST(TopView, ShowsEverythingAtAGlance) {
  const std::string text = DrawTop(Sample(), {.columns = 100});
  for (const char* part :
       {"Serving, but shard-2 is lost from sight.", "→ Look at its log.", "412 generated",
        "41 % of 1000 tokens/s; limit: shard-1", "42 ms typical", "3.20 USD an hour", "router-1",
        "█████░░░░░  50 %", "lost from sight", "1.25", "event 19"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_LT(text.find("event 19"), text.find("event 18")) << "the newest is first";
  EXPECT_THAT(text, Not(HasSubstr("event 3")));
}

TEST(TopView, NoNameCanDriveTheTerminal) {
  EXPECT_THAT(DrawTop(Sample(), {.columns = 100}), Not(HasSubstr("\033")));
  EXPECT_THAT(DrawTop(Sample(), {.columns = 100, .colour = true}), HasSubstr("alice?[2J"));
}

TEST(TopView, FitsANarrowAndALowTerminal) {
  const std::string text = DrawTop(Sample(), {.columns = 40, .rows = 12});
  const std::vector<std::string> lines = absl::StrSplit(text, '\n', absl::SkipEmpty());
  EXPECT_LE(lines.size(), 12u);
  for (const std::string& line : lines) {
    const auto characters = std::count_if(line.begin(), line.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    });
    EXPECT_LE(characters, 40) << line;
  }
}

}  // namespace
}  // namespace moesaic::services
