#include "router/api/json.h"

#include <cmath>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

using ::testing::HasSubstr;

std::string ErrorOf(const std::string& body) {
  const auto json = ParseRequestBody(body);
  EXPECT_FALSE(json.ok()) << body.substr(0, 40);
  return std::string(json.status().message());
}

TEST(ParseRequestBodyTest, KeepsTheOrderOfKeys) {
  const auto json = ParseRequestBody(R"({"b":1,"a":[2,{"z":"\"}{][:,"}]})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(Print(*json), R"({"b":1,"a":[2,{"z":"\"}{][:,"}]})");
}

TEST(ParseRequestBodyTest, SaysWhatIsWrong) {
  EXPECT_THAT(ErrorOf("{\"a\":"), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(ErrorOf("{\"a\":\"\xff\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(ErrorOf(R"({"a":"\ud800"})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf(R"({"a":1e999})"), HasSubstr("out of range"));
}

TEST(ParseRequestBodyTest, IsBounded) {
  EXPECT_THAT(ErrorOf("{\"a\":" + std::string(100, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(ErrorOf(std::string(1 << 20, '{')), HasSubstr("nested deeper"));
  std::string keys = "{";
  for (int i = 0; i < 1025; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  EXPECT_THAT(ErrorOf(keys + "\"x\":0}"), HasSubstr("more keys"));
  std::string values = "{\"a\":[0";
  for (int i = 0; i < 2'000'001; ++i) values += ",0";
  EXPECT_THAT(ErrorOf(values + "]}"), HasSubstr("more values"));
}

TEST(ParseRequestBodyTest, EveryTruncationIsAnErrorAndNoCrash) {
  const std::string body = R"({"model":"m","messages":[{"role":"user","content":"h\u00e9\n"}]})";
  ASSERT_TRUE(ParseRequestBody(body).ok());
  for (std::size_t n = 0; n < body.size(); ++n) {
    EXPECT_FALSE(ParseRequestBody(body.substr(0, n)).ok()) << n;
  }
}

TEST(LogprobJsonTest, RoundTripsAndHasNoInfinity) {
  for (float value : {-0.1f, -1e-7f, -12.345678f, 0.0f}) {
    const double printed = std::stod(Print(LogprobJson(value)));
    EXPECT_EQ(static_cast<float>(printed), value);
    EXPECT_EQ(printed, static_cast<double>(value));
  }
  EXPECT_EQ(Print(LogprobJson(-std::numeric_limits<float>::infinity())), "-9999.0");
  EXPECT_EQ(Print(LogprobJson(NAN)), "-9999.0");
}

}  // namespace
}  // namespace moesaic::router
