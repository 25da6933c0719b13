#include "http/sse.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> Parse(const std::vector<std::string>& pieces) {
  SseParser parser;
  std::vector<std::string> events;
  for (const std::string& piece : pieces) {
    EXPECT_TRUE(parser.Feed(piece, [&](std::string_view data) { events.emplace_back(data); }).ok());
  }
  return events;
}

TEST(SseTest, FramesData) {
  EXPECT_EQ(SseData("{}"), "data: {}\n\n");
  EXPECT_EQ(SseComment("keep-alive"), ": keep-alive\n\n");
}

TEST(SseTest, ReadsBackWhateverTheCut) {
  const std::string stream = SseData("one") + SseComment("wait") + SseData("[DONE]");
  std::vector<std::string> bytes;
  for (char c : stream) bytes.emplace_back(1, c);
  EXPECT_THAT(Parse({stream}), ElementsAre("one", "[DONE]"));
  EXPECT_THAT(Parse(bytes), ElementsAre("one", "[DONE]"));
}

TEST(SseTest, JoinsDataLinesAndDropsOtherFields) {
  EXPECT_THAT(Parse({"event: x\r\ndata: a\r\ndata:b\r\nid: 3\r\n\r\n\r\n"}), ElementsAre("a\nb"));
}

TEST(SseTest, EventWithoutEndIsNotDelivered) {
  EXPECT_THAT(Parse({"data: half\n"}), ElementsAre());
}

TEST(SseTest, EventIsBounded) {
  SseParser parser(16);
  EXPECT_EQ(parser.Feed("data: 0123456789abcdef", [](std::string_view) {}).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(SseDeathTest, LineBreakInPayloadIsOurBug) { EXPECT_DEATH(SseData("a\nb"), "CHECK failed"); }

}  // namespace
}  // namespace moesaic::http
