#include "placement/decision_log.h"

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

TEST(DecisionLog, KeepsTheLatest) {
  DecisionLog log;
  for (int i = 0; i < 300; ++i) log.Add(absl::Seconds(i), std::to_string(i));
  EXPECT_EQ(log.decisions().size(), 256u);
  EXPECT_EQ(log.decisions().front().text, "44");
  EXPECT_EQ(log.decisions().back().at, absl::Seconds(299));
}

TEST(DecisionLog, OneStandingReasonIsEnough) {
  DecisionLog log;
  log.Add(absl::Seconds(1), "moved");
  log.Refresh(absl::Seconds(2), "stays");
  log.Refresh(absl::Seconds(3), "stays again");
  ASSERT_EQ(log.decisions().size(), 2u);
  EXPECT_EQ(log.decisions().back().text, "stays again");
}

}  // namespace
}  // namespace moesaic::placement
