#include "router/api/latency_window.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

TEST(LatencyWindowTest, PercentilesOfWhatCameSinceTheLastCall) {
  LatencyWindow window;
  EXPECT_EQ(window.Take().p50_ms, 0);
  window.Add(0.010, 90);
  window.Add(0.200, 10);
  const LatencyWindow::Percentiles taken = window.Take();
  EXPECT_NEAR(taken.p50_ms, 10, 0.5);
  EXPECT_NEAR(taken.p95_ms, 200, 10);
  EXPECT_EQ(window.Take().p95_ms, 0);
}

TEST(LatencyWindowTest, KeepsWhatIsBeyondItsBuckets) {
  LatencyWindow window;
  window.Add(0);
  EXPECT_GT(window.Take().p50_ms, 0);
  window.Add(1e9);
  EXPECT_GT(window.Take().p50_ms, 1e5);
}

}  // namespace
}  // namespace moesaic::router
