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

}  // namespace
}  // namespace moesaic::placement
