#include "router/api/reasoning_mode.h"

#include "gtest/gtest.h"
#include "tests/unit/router/api/byte_tokenizer.h"

namespace moesaic::router {
namespace {

TEST(ReasoningModeTest, ParsesItsNames) {
  EXPECT_EQ(*ParseReasoningMode("auto"), ReasoningMode::kAuto);
  EXPECT_EQ(*ParseReasoningMode("think"), ReasoningMode::kThink);
  EXPECT_EQ(*ParseReasoningMode("none"), ReasoningMode::kNone);
  const absl::Status other = ParseReasoningMode("deepseek_r1").status();
  EXPECT_EQ(other.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(other.message().find("deepseek_r1"), absl::string_view::npos);
}

TEST(ReasoningModeTest, AutoAsksTheCheckpoint) {
  const auto plain = MakeByteTokenizer();
  const auto thinking = MakeByteTokenizer({"<think>", "</think>"});
  EXPECT_FALSE(ParsesReasoning(ReasoningMode::kAuto, "", *plain));
  EXPECT_FALSE(ParsesReasoning(ReasoningMode::kAuto, "{{ messages }}", *plain));
  EXPECT_TRUE(ParsesReasoning(ReasoningMode::kAuto, "assistant: <think>\n", *plain));
  EXPECT_TRUE(ParsesReasoning(ReasoningMode::kAuto, "", *thinking));
  EXPECT_TRUE(ParsesReasoning(ReasoningMode::kThink, "", *plain));
  EXPECT_FALSE(ParsesReasoning(ReasoningMode::kNone, "<think>", *thinking));
}

}  // namespace
}  // namespace moesaic::router
