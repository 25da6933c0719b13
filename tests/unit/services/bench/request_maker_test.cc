#include "services/cli/bench/request_maker.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "gtest/gtest.h"

namespace moesaic::services {
namespace {

using Json = nlohmann::json;

RequestMaker::Options MakeOptions(const char* prompt, const char* output) {
  return {.prompt = *LengthDistribution::Parse(prompt),
          .output = *LengthDistribution::Parse(output)};
}

BenchTarget IdsTarget() {
  return {.base_url = "http://x/v1",
          .model = "a \"model\"",
          .form = PromptForm::kIds,
          .first_id = 100,
          .last_id = 999};
}

TEST(RequestMakerTest, IdsInRange) {
  const BenchTarget target = IdsTarget();
  const BenchRequest request = RequestMaker(target, MakeOptions("50", "7")).Make(0);
  EXPECT_EQ(request.prompt_tokens, 50);
  EXPECT_EQ(request.output_tokens, 7);
  const Json body = Json::parse(request.body);
  EXPECT_EQ(body["model"], "a \"model\"");
  EXPECT_EQ(body["max_tokens"], 7);
  EXPECT_EQ(body["ignore_eos"], true);
  EXPECT_EQ(body["stream"], true);
  EXPECT_EQ(body["stream_options"]["include_usage"], true);
  EXPECT_EQ(body["temperature"], 0);
  ASSERT_EQ(body["prompt"].size(), 50u);
  for (const Json& id : body["prompt"]) {
    EXPECT_GE(id, 100);
    EXPECT_LE(id, 999);
  }
}

TEST(RequestMakerTest, SeedAndNumberDecide) {
  const BenchTarget target = IdsTarget();
  RequestMaker::Options options = MakeOptions("uniform:8-32", "uniform:8-32");
  const RequestMaker maker(target, options);
  EXPECT_EQ(maker.Make(3).body, maker.Make(3).body);
  EXPECT_NE(maker.Make(3).body, maker.Make(4).body);
  options.seed = 2;
  EXPECT_NE(RequestMaker(target, options).Make(3).body, maker.Make(3).body);
}

TEST(RequestMakerTest, SharedPrefix) {
  const BenchTarget target = IdsTarget();
  RequestMaker::Options options = MakeOptions("20", "1");
  options.shared_prefix = 12;
  const RequestMaker maker(target, options);
  const Json a = Json::parse(maker.Make(0).body)["prompt"];
  const Json b = Json::parse(maker.Make(1).body)["prompt"];
  EXPECT_TRUE(std::equal(a.begin(), a.begin() + 12, b.begin()));
  EXPECT_FALSE(std::equal(a.begin() + 12, a.end(), b.begin() + 12));
}

TEST(RequestMakerTest, WordsByWhatTheyCost) {
  BenchTarget target{.base_url = "http://x/v1", .model = "m", .chat = true};
  target.tokens_per_word = 2;
  target.extra_tokens = 10;
  RequestMaker::Options options = MakeOptions("50", "1");
  options.ignore_eos = false;
  options.shared_prefix = 8;
  const RequestMaker maker(target, options);
  const Json body = Json::parse(maker.Make(0).body);
  EXPECT_FALSE(body.contains("ignore_eos"));
  EXPECT_EQ(body["messages"][0]["role"], "user");
  const std::string text = body["messages"][0]["content"];
  EXPECT_EQ(std::count(text.begin(), text.end(), ' ') + 1, 20);
  const std::string other = Json::parse(maker.Make(1).body)["messages"][0]["content"];
  const std::string shared = RandomWords(4, 0);
  EXPECT_NE(text, other);
  EXPECT_EQ(std::count(shared.begin(), shared.end(), ' '), 3);
  const auto first_words = [](const std::string& words) {
    std::size_t end = 0;
    for (int i = 0; i < 4; ++i) end = words.find(' ', end + 1);
    return words.substr(0, end);
  };
  EXPECT_EQ(first_words(text), first_words(other));
}

TEST(RequestMakerTest, NeverWithoutAWord) {
  BenchTarget target{.base_url = "http://x/v1", .model = "m"};
  target.extra_tokens = 100;
  const Json body = Json::parse(RequestMaker(target, MakeOptions("5", "1")).Make(0).body);
  EXPECT_NE(body["prompt"].get<std::string>(), "");
}

}  // namespace
}  // namespace moesaic::services
