#include "router/trace/chrome_trace.h"

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/testing/fake_clock.h"

namespace moesaic::router {
namespace {

using Json = nlohmann::json;

class ChromeTraceTest : public ::testing::Test {
 protected:
  /// A step of two layers, each with dispatches to two shards that overlap.
  void Step() {
    const auto timeline = std::make_shared<StepTimeline>(clock_);
    const absl::Duration started = clock_.Monotonic();
    for (std::uint32_t layer = 1; layer <= 2; ++layer) {
      LayerSpan span{.layer = layer, .begun = clock_.Monotonic()};
      clock_.Advance(absl::Microseconds(300));
      span.dispatched = clock_.Monotonic();
      for (int i = 0; i < 3; ++i) {
        timeline->AddDispatch({.shard = i == 2 ? "shard-2" : "shard-1",
                               .outcome = i == 1 ? "lost" : "ok",
                               .sent = span.dispatched + absl::Microseconds(10 * i),
                               .ended = span.dispatched + absl::Microseconds(500 + 10 * i),
                               .layer = layer,
                               .rows = 4,
                               .hedge = i == 2,
                               .queue_wait = absl::Microseconds(100),
                               .compute = absl::Microseconds(i == 2 ? 9000 : 200)});
      }
      clock_.Advance(absl::Microseconds(600));
      span.done = clock_.Monotonic();
      timeline->AddLayer(span);
    }
    clock_.Advance(absl::Microseconds(200));
    timeline->Finish(clock_.Monotonic(), 5, {{"dispatch", 0.0012}});
    trace_.AddStep(timeline, {.started = started, .ended = clock_.Monotonic(), .rows = 1});
  }

  Json Events() {
    const Json root = Json::parse(ChromeTrace(trace_, "router-1", clock_.Monotonic()));
    EXPECT_EQ(root["displayTimeUnit"], "ms");
    return root["traceEvents"];
  }

  moesaic::testing::FakeClock clock_;
  RequestTrace trace_{{.request_id = "r-\xff",
                       .tenant = "t",
                       .endpoint = "/completions",
                       .arrived = clock_.Monotonic()}};
};

/// That spans of each track contain each other or are apart.
void ExpectNested(const Json& events) {
  std::map<std::pair<int, int>, std::vector<std::pair<std::int64_t, std::int64_t>>> tracks;
  for (const Json& event : events) {
    if (event["ph"] != "X") continue;
    const std::int64_t begin = event["ts"];
    const std::int64_t end = begin + event["dur"].get<std::int64_t>();
    EXPECT_GE(begin, 0);
    EXPECT_GE(end, begin);
    for (const auto& [b, e] : tracks[{event["pid"], event["tid"]}]) {
      const bool apart = end <= b || e <= begin;
      const bool inside = (b <= begin && end <= e) || (begin <= b && e <= end);
      EXPECT_TRUE(apart || inside) << event << " and " << b << " to " << e;
    }
    tracks[{event["pid"], event["tid"]}].emplace_back(begin, end);
  }
}

TEST_F(ChromeTraceTest, ShowsRequestStepsLayersAndDispatches) {
  clock_.Advance(absl::Milliseconds(2));
  Step();
  Step();
  monitoring::UsageRecord usage;
  usage.finished = usage.started + absl::Milliseconds(7);
  usage.queue_seconds = 0.001;
  usage.prefill_seconds = 0.002;
  usage.decode_seconds = 0.002;
  usage.first_token_seconds = 0.004;
  trace_.Finish(usage, "OK");
  const Json events = Events();
  ExpectNested(events);
  std::map<std::string, int> names;
  std::map<std::string, int> processes;
  for (const Json& event : events) {
    if (event["name"] == "process_name") processes[event["args"]["name"]] = event["pid"];
    ++names[event["name"]];
  }
  EXPECT_EQ(processes.size(), 3u);
  EXPECT_EQ(processes["router-1"], 1);
  for (const auto& [name, count] : std::map<std::string, int>{{"/completions", 1},
                                                              {"prefill", 1},
                                                              {"decode", 1},
                                                              {"first token", 1},
                                                              {"step", 2},
                                                              {"layer 1 experts", 2},
                                                              {"layer 2 attention, gate", 2},
                                                              {"layer 1", 2},
                                                              {"layer 2 lost", 2},
                                                              {"layer 2 hedge", 2},
                                                              {"compute", 8}}) {
    EXPECT_EQ(names[name], count) << name;
  }
}

TEST_F(ChromeTraceTest, ARunningRequestEndsNow) {
  Step();
  const Json events = Events();
  ExpectNested(events);
  bool found = false;
  for (const Json& event : events) {
    if (event["name"] != "/completions") continue;
    found = true;
    EXPECT_EQ(event["dur"], 2000);
    EXPECT_EQ(event["args"]["status"], "running");
  }
  EXPECT_TRUE(found);
}

TEST_F(ChromeTraceTest, ARefusedRequestHasNoSteps) {
  monitoring::UsageRecord usage;
  usage.outcome = monitoring::RequestOutcome::kRefused;
  trace_.Finish(usage, "RESOURCE_EXHAUSTED");
  ExpectNested(Events());
}

}  // namespace
}  // namespace moesaic::router
