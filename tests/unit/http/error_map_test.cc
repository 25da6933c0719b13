#include "http/error_map.h"

#include <string>
#include <utility>

#include "base/retry_delay.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace moesaic::http {
namespace {

std::string HeaderOf(const Response& response, std::string_view name) {
  for (const Header& header : response.headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

TEST(ErrorMapTest, MapsEveryCode) {
  const std::pair<absl::StatusCode, int> expected[] = {
      {absl::StatusCode::kOk, 200},
      {absl::StatusCode::kInvalidArgument, 400},
      {absl::StatusCode::kOutOfRange, 400},
      {absl::StatusCode::kUnauthenticated, 401},
      {absl::StatusCode::kPermissionDenied, 403},
      {absl::StatusCode::kNotFound, 404},
      {absl::StatusCode::kAlreadyExists, 409},
      {absl::StatusCode::kAborted, 409},
      {absl::StatusCode::kResourceExhausted, 429},
      {absl::StatusCode::kCancelled, 499},
      {absl::StatusCode::kUnimplemented, 501},
      {absl::StatusCode::kUnavailable, 503},
      {absl::StatusCode::kFailedPrecondition, 503},
      {absl::StatusCode::kDeadlineExceeded, 504},
      {absl::StatusCode::kInternal, 500},
      {absl::StatusCode::kDataLoss, 500},
      {absl::StatusCode::kUnknown, 500},
  };
  for (const auto& [code, http_status] : expected) {
    EXPECT_EQ(HttpStatusOf(absl::Status(code, "x")), http_status) << absl::StatusCodeToString(code);
  }
}

TEST(ErrorMapTest, WritesOpenAiErrorObject) {
  const absl::Status status = WithParam(
      WithErrorCode(absl::InvalidArgumentError("too long"), "context_length_exceeded"), "messages");
  const Response response = ErrorResponse(status);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"error":{"message":"too long","type":"invalid_request_error",)"
                           R"("param":"messages","code":"context_length_exceeded"}})");
}

TEST(ErrorMapTest, DefaultsToNullParamAndCode) {
  const auto error = nlohmann::json::parse(ErrorJson(absl::InternalError("x")))["error"];
  EXPECT_TRUE(error["param"].is_null());
  EXPECT_TRUE(error["code"].is_null());
  EXPECT_EQ(error["type"], "server_error");
}

TEST(ErrorMapTest, RetryAfterRoundsUpToSeconds) {
  const absl::Status status =
      base::WithRetryDelay(absl::ResourceExhaustedError("full"), absl::Milliseconds(2500));
  const Response response = ErrorResponse(status);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(HeaderOf(response, "retry-after"), "3");
  EXPECT_EQ(HeaderOf(response, "retry-after-ms"), "2500");
}

TEST(ErrorMapTest, OverloadAlwaysSaysWhenToRetry) {
  EXPECT_EQ(HeaderOf(ErrorResponse(absl::UnavailableError("x")), "retry-after"), "1");
  EXPECT_EQ(HeaderOf(ErrorResponse(absl::NotFoundError("x")), "retry-after"), "");
}

TEST(ErrorMapTest, ExplicitHttpStatusWins) {
  EXPECT_EQ(HttpStatusOf(WithHttpStatus(absl::InvalidArgumentError("big"), 413)), 413);
}

TEST(ErrorMapTest, MessageThatIsNotUtf8IsStillJson) {
  EXPECT_TRUE(nlohmann::json::accept(ErrorJson(absl::InvalidArgumentError("bad \xff byte"))));
}

}  // namespace
}  // namespace moesaic::http
