#include "placement/console_chat.h"

#include <nlohmann/json.hpp>

#include "gtest/gtest.h"

namespace moesaic::placement {
namespace {

TEST(ConsoleChat, AsksTheRouterForExpertsAndTokens) {
  const auto body = ConsoleChat::RouterBody(R"({"prompt": "3+4=", "max_tokens": 9})", true);
  const auto json = nlohmann::json::parse(*body);
  EXPECT_EQ(json["messages"][0]["content"], "3+4=");
  EXPECT_EQ(json["max_tokens"], 9);
  EXPECT_EQ(json["stream"], true);
  EXPECT_EQ(json["stream_routed_experts"], true);
  EXPECT_FALSE(nlohmann::json::parse(*ConsoleChat::RouterBody(R"({"prompt": "x"})", false))
                   .contains("stream_routed_experts"));
}

TEST(ConsoleChat, RefusesWhatIsNoPrompt) {
  const std::string too_long = R"({"prompt": ")" + std::string(9000, 'x') + "\"}";
  for (const std::string& body :
       {std::string("no"), std::string("[]"), std::string("{}"), std::string(R"({"prompt": 3})"),
        std::string(R"({"prompt": ""})"), std::string(R"({"prompt": "x", "max_tokens": 0})"),
        std::string(R"({"prompt": "x", "max_tokens": 513})"),
        std::string(R"({"prompt": "x", "max_tokens": "9"})"), too_long}) {
    EXPECT_EQ(ConsoleChat::RouterBody(body, true).status().code(),
              absl::StatusCode::kInvalidArgument)
        << body.substr(0, 40);
  }
}

}  // namespace
}  // namespace moesaic::placement
