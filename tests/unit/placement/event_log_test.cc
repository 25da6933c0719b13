#include "placement/event_log.h"

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

TEST(EventLog, KeepsTheLatest) {
  EventLog log;
  for (int i = 0; i < 300; ++i)
    log.Add(absl::Seconds(i), EventLog::Kind::kChange, std::to_string(i));
  EXPECT_EQ(log.events().size(), 256u);
  EXPECT_EQ(log.events().front().text, "44");
  EXPECT_EQ(log.events().back().at, absl::Seconds(299));
}

TEST(EventLog, OneStandingReasonIsEnough) {
  EventLog log;
  log.Add(absl::Seconds(1), EventLog::Kind::kDecision, "moved");
  log.Refresh(absl::Seconds(2), "stays");
  log.Refresh(absl::Seconds(3), "stays again");
  ASSERT_EQ(log.events().size(), 2u);
  EXPECT_EQ(log.events().back().text, "stays again");
}

}  // namespace
}  // namespace moesaic::placement
