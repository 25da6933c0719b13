#include "monitoring/trace_context.h"

#include <random>
#include <string>

#include "gtest/gtest.h"

namespace moesaic::monitoring {
namespace {

constexpr char kTrace[] = "4bf92f3577b34da6a3ce929d0e0e4736";
constexpr char kValid[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ReadsAndWrites) {
  const std::optional<TraceContext> context = ParseTraceparent(kValid);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(TraceIdText(context->trace_id), kTrace);
  EXPECT_EQ(context->span_id[7], 0xb7);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(FormatTraceparent(*context), kValid);
}

TEST(TraceContextTest, FlagsAreBits) {
  const auto sampled = [](const char* flags) {
    const auto context = ParseTraceparent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-" +
                                          std::string(flags));
    EXPECT_TRUE(context.has_value()) << flags;
    return context && context->sampled;
  };
  EXPECT_FALSE(sampled("00"));
  EXPECT_FALSE(sampled("02"));
  EXPECT_TRUE(sampled("03"));
  EXPECT_TRUE(sampled("ff"));
}

TEST(TraceContextTest, LaterVersionsMaySayMore) {
  const std::string rest = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_TRUE(ParseTraceparent("01" + rest).has_value());
  EXPECT_TRUE(ParseTraceparent("cc" + rest + "-what-the-future-will-be-like").has_value());
  EXPECT_FALSE(ParseTraceparent("cc" + rest + ".what").has_value());
  EXPECT_FALSE(ParseTraceparent("00" + rest + "-more").has_value());
  EXPECT_FALSE(ParseTraceparent("00" + rest + " ").has_value());
  EXPECT_FALSE(ParseTraceparent("ff" + rest).has_value());
}

TEST(TraceContextTest, WhatTheSpecificationRefusesIsIgnored) {
  for (const char* header : {
           "",
           "00",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
           "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
           "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
           "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
           " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
           "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
       }) {
    EXPECT_FALSE(ParseTraceparent(header).has_value()) << header;
  }
}

TEST(TraceContextTest, AnyBytesAreReadOrIgnored) {
  std::mt19937 random(3);
  for (int round = 0; round < 200'000; ++round) {
    std::string header = kValid;
    header.resize(random() % 70, '0');
    for (int change = random() % 4; change > 0 && !header.empty(); --change) {
      constexpr char kAlphabet[] = "0123456789abcdefABCDEFg-_ \0\xff";
      header[random() % header.size()] = kAlphabet[random() % (sizeof(kAlphabet) - 1)];
    }
    const std::optional<TraceContext> context = ParseTraceparent(header);
    if (!context) continue;
    ASSERT_GE(header.size(), 55u);
    ASSERT_EQ(ParseTraceparent(FormatTraceparent(*context)), context);
    ASSERT_EQ(TraceIdText(context->trace_id), header.substr(3, 32));
  }
}

TEST(TraceContextTest, ContinuesTheCallersTraceUnderASpanOfItsOwn) {
  const TraceContext caller = *ParseTraceparent(kValid);
  const TraceContext ours = ContinueTrace(kValid, 0);
  EXPECT_EQ(ours.trace_id, caller.trace_id);
  EXPECT_NE(ours.span_id, caller.span_id);
  EXPECT_TRUE(ours.sampled);
}

TEST(TraceContextTest, BeginsATraceWhereThereIsNone) {
  const TraceContext first = ContinueTrace("nonsense", 0);
  EXPECT_FALSE(first.sampled);
  EXPECT_NE(first.trace_id, ContinueTrace("", 0).trace_id);
  EXPECT_TRUE(ParseTraceparent(FormatTraceparent(first)).has_value());
  EXPECT_TRUE(ContinueTrace("", 1).sampled);
  int sampled = 0;
  for (int i = 0; i < 2000; ++i) sampled += ContinueTrace("", 0.25).sampled;
  EXPECT_NEAR(sampled, 500, 150);  // more than seven standard deviations
}

}  // namespace
}  // namespace moesaic::monitoring
