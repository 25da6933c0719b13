#include "http/response_parser.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

using ::testing::ElementsAre;

constexpr std::string_view kStream =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nconnection: close\r\n\r\n"
    "data: one\n\n: a comment\n\ndata: two\n\n";

/// Feeds the text in pieces of `piece` bytes; returns the first error.
absl::Status Feed(ResponseParser& parser, std::string_view text, std::size_t piece,
                  std::vector<std::string>& events) {
  while (!text.empty() && !parser.done()) {
    const absl::Status fed = parser.Feed(text.substr(0, piece), [&](std::string_view event) {
      events.emplace_back(event);
      return true;
    });
    if (!fed.ok()) return fed;
    text.remove_prefix(std::min(piece, text.size()));
  }
  return absl::OkStatus();
}

TEST(ResponseParserTest, EventsHoweverTheyAreCut) {
  for (const std::size_t piece : {1, 3, 1000}) {
    ResponseParser parser(ResponseParser::Body::kEvents, 10);
    std::vector<std::string> events;
    ASSERT_TRUE(Feed(parser, kStream, piece, events).ok());
    EXPECT_THAT(events, ElementsAre("one", "two"));
    EXPECT_FALSE(parser.done());
    ASSERT_TRUE(parser.FeedEnd().ok());
    EXPECT_TRUE(parser.done());
    EXPECT_EQ(parser.Take().body, "");
  }
}

TEST(ResponseParserTest, WholeKeepsAnEventStreamToo) {
  ResponseParser parser(ResponseParser::Body::kWhole, 1000);
  std::vector<std::string> events;
  ASSERT_TRUE(Feed(parser, kStream, 1000, events).ok());
  ASSERT_TRUE(parser.FeedEnd().ok());
  EXPECT_THAT(events, ElementsAre());
  EXPECT_THAT(parser.Take().body, testing::HasSubstr("data: two"));
}

TEST(ResponseParserTest, WhatIsNoStreamIsBounded) {
  std::vector<std::string> events;
  for (const auto body : {ResponseParser::Body::kEvents, ResponseParser::Body::kWhole}) {
    ResponseParser parser(body, 3);
    EXPECT_EQ(Feed(parser, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n1234", 1000, events).code(),
              absl::StatusCode::kResourceExhausted);
  }
}

TEST(ResponseParserTest, AnAnnouncedLengthTakesNoMemory) {
  for (const std::string_view type : {"text/plain", "text/event-stream"}) {
    ResponseParser parser(ResponseParser::Body::kEvents, 100);
    std::vector<std::string> events;
    ASSERT_TRUE(Feed(parser,
                     absl::StrCat("HTTP/1.1 200 OK\r\ncontent-type: ", base::ToAbsl(type),
                                  "\r\ncontent-length: 888888888888888889\r\n\r\ndata: one\n\n"),
                     1000, events)
                    .ok());
    EXPECT_EQ(events.size(), type == "text/plain" ? 0u : 1u);
    EXPECT_EQ(parser.FeedEnd().code(), absl::StatusCode::kUnavailable);
  }
}

TEST(ResponseParserTest, EventsAreBounded) {
  ResponseParser parser(ResponseParser::Body::kEvents, 10);
  std::vector<std::string> events;
  const std::string head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ";
  EXPECT_EQ(Feed(parser, head + std::string(17 << 20, 'x'), 64 << 10, events).code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ResponseParserTest, ChunksHoweverTheyAreCut) {
  const std::string head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
  for (const std::size_t piece : {1, 2, 3, 4, 1000}) {
    for (const std::string body : {"", "x", "0\r\nx", "0\r\n\r"}) {
      const std::string chunk = body.empty() ? "" : absl::StrCat(body.size(), "\r\n", body, "\r\n");
      ResponseParser parser(ResponseParser::Body::kWhole, 10);
      std::vector<std::string> events;
      ASSERT_TRUE(Feed(parser, head + chunk + "0\r\na: b\r\n\r\n", piece, events).ok());
      ASSERT_TRUE(parser.done());
      EXPECT_EQ(parser.Take().body, body);
    }
  }
}

TEST(ResponseParserTest, NoHttp) {
  ResponseParser parser(ResponseParser::Body::kEvents, 10);
  std::vector<std::string> events;
  EXPECT_EQ(Feed(parser, "SSH-2.0-OpenSSH\r\n\r\n", 1000, events).code(),
            absl::StatusCode::kDataLoss);
}

TEST(ResponseParserTest, ALineWithoutEndIsBounded) {
  ResponseParser parser(ResponseParser::Body::kWhole, 10);
  std::vector<std::string> events;
  EXPECT_EQ(
      Feed(parser,
           "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;" + std::string(1 << 20, 'x'),
           1000, events)
          .code(),
      absl::StatusCode::kDataLoss);
}

TEST(ResponseParserTest, HeaderIsBounded) {
  ResponseParser parser(ResponseParser::Body::kEvents, 10);
  std::vector<std::string> events;
  std::string header = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 20'000; ++i) header += "x: y\r\n";
  EXPECT_EQ(Feed(parser, header, 4096, events).code(), absl::StatusCode::kDataLoss);
}

TEST(ResponseParserTest, EndsTooEarly) {
  std::vector<std::string> events;
  for (const char* text :
       {"", "HTTP/1.1 200 OK\r\ncontent-le", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n123"}) {
    ResponseParser parser(ResponseParser::Body::kEvents, 10);
    ASSERT_TRUE(Feed(parser, text, 1000, events).ok());
    EXPECT_EQ(parser.FeedEnd().code(), absl::StatusCode::kUnavailable) << text;
  }
}

}  // namespace
}  // namespace moesaic::http
