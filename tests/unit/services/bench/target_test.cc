#include "services/cli/bench/target.h"

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/server.h"

namespace moesaic::services {
namespace {

using http::Exchange;
using Json = nlohmann::json;
using ::testing::HasSubstr;

/// A server that counts a token for each id, and two for each word and five for the prompt.
class FindTargetTest : public testing::Test {
 protected:
  void SetUp() override {
    http::RouteTable routes;
    routes.Add("GET", "/v1/models", [this](const std::shared_ptr<Exchange>& exchange) {
      exchange->Respond({.status = 200, .body = models_});
    });
    for (const char* path : {"/v1/completions", "/v1/chat/completions"}) {
      routes.Add("POST", path, [this](const std::shared_ptr<Exchange>& exchange) {
        authorization_ = exchange->request().HeaderValue("authorization");
        const Json body = Json::parse(exchange->request().body);
        const Json prompt =
            body.contains("prompt") ? body["prompt"] : body["messages"][0]["content"];
        if (!prompt.is_string() && !takes_ids_) return exchange->Respond({.status = 400});
        std::size_t tokens = prompt.size();
        if (prompt.is_string()) {
          const std::vector<std::string> words = absl::StrSplit(prompt.get<std::string>(), ' ');
          tokens = 2 * words.size() + 5;
        }
        const Json answer = {{"choices", Json::array({Json::object()})},
                             {"usage", {{"prompt_tokens", tokens}}}};
        exchange->Respond({.status = 200, .body = answer.dump()});
      });
    }
    auto server = http::Server::Start({}, std::move(routes));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    options_.url = "http://127.0.0.1:" + std::to_string(server_->port());
    options_.timeout = absl::Seconds(60);
  }

  std::string models_ = R"({"data":[{"id":"m"}]})";
  bool takes_ids_ = true;
  std::string authorization_;
  std::unique_ptr<http::Server> server_;
  TargetOptions options_;
};

TEST_F(FindTargetTest, IdsWhereTheyAreTaken) {
  for (const char* suffix : {"", "/", "/v1", "/v1/"}) {
    TargetOptions options = options_;
    options.url += suffix;
    const auto target = FindTarget(options);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->base_url, options_.url + "/v1");
    EXPECT_EQ(target->model, "m");
    EXPECT_EQ(target->form, PromptForm::kIds);
    EXPECT_LT(target->first_id, target->last_id);
  }
}

TEST_F(FindTargetTest, RangeOfIds) {
  models_ = R"({"data":[{"id":"m","meta":{"n_vocab":32000}}]})";
  auto target = FindTarget(options_);
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->last_id, 31999);
  options_.token_ids = "5-9";
  target = FindTarget(options_);
  ASSERT_TRUE(target.ok()) << target.status();
  EXPECT_EQ(target->first_id, 5);
  EXPECT_EQ(target->last_id, 9);
  for (const char* range : {"5", "9-5", "x-y", "5-", "-1-3", "1-2-3"}) {
    options_.token_ids = range;
    EXPECT_EQ(FindTarget(options_).status().code(), absl::StatusCode::kInvalidArgument) << range;
  }
}

TEST_F(FindTargetTest, WordsElsewhere) {
  takes_ids_ = false;
  for (const bool chat : {false, true}) {
    options_.chat = chat;
    const auto target = FindTarget(options_);
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_EQ(target->form, PromptForm::kText);
    EXPECT_DOUBLE_EQ(target->tokens_per_word, 2);
    EXPECT_DOUBLE_EQ(target->extra_tokens, 5);
  }
  options_.chat = false;
  options_.prompt_form = "ids";
  EXPECT_THAT(FindTarget(options_).status().message(), HasSubstr("HTTP 400"));
}

TEST_F(FindTargetTest, KeyIsSentAndChecked) {
  options_.api_key = "secret";
  ASSERT_TRUE(FindTarget(options_).ok());
  EXPECT_EQ(authorization_, "Bearer secret");
  options_.api_key = "a\r\nb: c";
  const auto refused = FindTarget(options_);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(refused.status().message().find("b: c"), absl::string_view::npos);
}

TEST_F(FindTargetTest, NoSuchApi) {
  for (const char* models : {"[]", "{}", R"({"data":[]})", R"({"data":[3]})", "<html>"}) {
    models_ = models;
    EXPECT_THAT(FindTarget(options_).status().message(), HasSubstr("no OpenAI-compatible API"))
        << models;
  }
  options_.model = "mine";  // then its list does not matter
  EXPECT_TRUE(FindTarget(options_).ok());
  options_.url = "http://127.0.0.1:1";
  EXPECT_THAT(FindTarget(options_).status().message(), HasSubstr("cannot connect"));
  options_.url = "localhost";
  EXPECT_EQ(FindTarget(options_).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::services
