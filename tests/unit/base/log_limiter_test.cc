#include "base/log_limiter.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace moesaic::base {
namespace {

TEST(LogLimiterTest, CountsWhatRepeatsAndSaysItOnceTheWindowEnds) {
  LogLimiter limiter;
  int written = 0;
  for (int i = 0; i < 1000; ++i) {
    written += limiter.Admit(absl::StrCat("shard 7: ", i, " results lost"), absl::Seconds(1));
  }
  EXPECT_EQ(written, LogLimiter::kBurst);
  EXPECT_TRUE(limiter.TakeDropped(absl::Seconds(10)).empty());
  const auto dropped = limiter.TakeDropped(absl::Seconds(11));
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].lines, 1000u - LogLimiter::kBurst);
  EXPECT_EQ(dropped[0].example, "shard 7: 0 results lost");
  EXPECT_TRUE(limiter.TakeDropped(absl::Seconds(30)).empty());
  EXPECT_TRUE(limiter.Admit("shard 7: 5 results lost", absl::Seconds(30)));
}

TEST(LogLimiterTest, KindsDoNotShareTheirCounts) {
  LogLimiter limiter;
  for (int i = 0; i < LogLimiter::kBurst; ++i) {
    EXPECT_TRUE(limiter.Admit("one kind", absl::ZeroDuration()));
  }
  EXPECT_FALSE(limiter.Admit("one kind", absl::ZeroDuration()));
  EXPECT_TRUE(limiter.Admit("another", absl::ZeroDuration()));
}

TEST(LogLimiterTest, IsBoundedByKinds) {
  LogLimiter limiter;
  int written = 0;
  for (int i = 0; i < 100'000; ++i) {
    std::string word;  // letters, so that every line is a kind of its own
    for (int n = i; n > 0; n /= 26) word += static_cast<char>('a' + n % 26);
    written += limiter.Admit(word, absl::ZeroDuration());
  }
  EXPECT_LE(written, static_cast<int>(LogLimiter::kMaxKinds) + LogLimiter::kBurst);
  std::uint64_t dropped = 0;
  for (const auto& kind : limiter.TakeDropped(absl::Minutes(1))) dropped += kind.lines;
  EXPECT_EQ(written + dropped, 100'000u);
}

}  // namespace
}  // namespace moesaic::base
