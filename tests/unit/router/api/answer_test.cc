#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "router/api/chat_answer.h"
#include "router/api/completion_answer.h"
#include "tests/unit/router/api/byte_tokenizer.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class AnswerTest : public testing::Test {
 protected:
  AnswerTest() {
    context_.id = "id-1";
    context_.created_unix_s = 1700000000;
    context_.model = "tiny";
    context_.system_fingerprint = "fp";
    context_.tokenizer = tokenizer_.get();
    context_.prompt_token_ids = {ByteIds("ab")};
  }

  static ChoiceDelta Delta(std::string text) {
    ChoiceDelta delta;
    delta.token_ids = ByteIds(text);
    for (std::int32_t id : delta.token_ids) delta.logprobs.push_back({id, -0.5f, {{'z', -0.25f}}});
    delta.text = std::move(text);
    return delta;
  }
  /// A token of reasoning and content per byte.
  static ChoiceDelta Thought(const std::string& reasoning, const std::string& content) {
    ChoiceDelta delta = Delta(reasoning + content);
    delta.reasoned = true;
    delta.reasoning = reasoning;
    delta.text = content;
    delta.reasoning_tokens = static_cast<int>(reasoning.size());
    return delta;
  }
  static ChoiceDelta Last(FinishReason reason = FinishReason::kStop) {
    ChoiceDelta delta;
    delta.finish_reason = reason;
    return delta;
  }
  static std::string Printed(const std::vector<Json>& chunks) {
    std::string text;
    for (const Json& chunk : chunks) text += Print(chunk["choices"][0]) + "\n";
    return text;
  }

  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
  AnswerContext context_;
};

TEST_F(AnswerTest, ChatWhole) {
  ChatAnswer answer(context_);
  answer.Collect(Delta("h"));
  answer.Collect(Delta("i"));
  answer.Collect(Last());
  EXPECT_EQ(
      Print(answer.Whole({.prompt_tokens = 5, .cached_prompt_tokens = 2, .completion_tokens = 3})),
      R"({"id":"id-1","object":"chat.completion","created":1700000000,"model":"tiny",)"
      R"("system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant",)"
      R"("content":"hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8,)"
      R"("prompt_tokens_details":{"cached_tokens":2},)"
      R"("completion_tokens_details":{"reasoning_tokens":0},"prompt_cache_hit_tokens":2,)"
      R"("prompt_cache_miss_tokens":3}})");
}

TEST_F(AnswerTest, ChatChunks) {
  ChatAnswer answer(context_);
  EXPECT_EQ(
      Printed(answer.Chunks(Delta("h"))),
      R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null})"
      "\n"
      R"({"index":0,"delta":{"content":"h"},"logprobs":null,"finish_reason":null})"
      "\n");
  EXPECT_EQ(Printed(answer.Chunks(Last(FinishReason::kLength))),
            R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length"})"
            "\n");
  const Json chunk = ChatAnswer(context_).Chunks(Delta("h"))[0];
  EXPECT_EQ(chunk["id"], "id-1");
  EXPECT_EQ(chunk["object"], "chat.completion.chunk");
  EXPECT_FALSE(chunk.contains("usage"));
}

TEST_F(AnswerTest, ChatChunksSayNothingWhileTextIsHeldBack) {
  ChatAnswer answer(context_);
  answer.Chunks(Delta("h"));
  ChoiceDelta held = Delta("x");
  held.text = "";
  EXPECT_THAT(answer.Chunks(held), SizeIs(0));
}

TEST_F(AnswerTest, FinishedChoicesSayHowManyTokensWereDegraded) {
  context_.degraded = true;
  ChoiceDelta last = Last();
  last.degraded_tokens = 3;
  ChatAnswer chat(context_), chat_chunks(context_);
  CompletionAnswer completion(context_, {}), completion_chunks(context_, {});
  for (AnswerFormat* answer : std::initializer_list<AnswerFormat*>{&chat, &completion}) {
    answer->Collect(Delta("h"));
    answer->Collect(last);
    EXPECT_EQ(answer->Whole({})["choices"][0]["degraded_tokens"], 3);
  }
  for (AnswerFormat* answer :
       std::initializer_list<AnswerFormat*>{&chat_chunks, &completion_chunks}) {
    EXPECT_FALSE(answer->Chunks(Delta("h")).back()["choices"][0].contains("degraded_tokens"));
    EXPECT_EQ(answer->Chunks(last).back()["choices"][0]["degraded_tokens"], 3);
  }
}

TEST_F(AnswerTest, UsageChunkHasNoChoices) {
  context_.include_usage = true;
  ChatAnswer answer(context_);
  EXPECT_TRUE(answer.Chunks(Delta("h"))[0]["usage"].is_null());
  const Json usage = answer.UsageChunk({.prompt_tokens = 1, .completion_tokens = 2});
  EXPECT_EQ(Print(usage["choices"]), "[]");
  EXPECT_EQ(usage["usage"]["total_tokens"], 3);
}

TEST_F(AnswerTest, ChatLogprobs) {
  context_.logprobs = true;
  ChatAnswer answer(context_);
  ChoiceDelta delta = Delta("a");
  delta.logprobs[0].top = {{'a', -0.5f}, {0xe4, -0.75f}};
  answer.Collect(delta);
  EXPECT_EQ(Print(answer.Whole({})["choices"][0]["logprobs"]),
            R"({"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[)"
            R"({"token":"a","logprob":-0.5,"bytes":[97]},)"
            "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-0.75,\"bytes\":[228]}]}],\"refusal\":null}");
}

TEST_F(AnswerTest, ChatReasoningWhole) {
  context_.reasoning = true;
  ChatAnswer answer(context_);
  answer.Collect(Thought("h", "i"));
  answer.Collect(Thought("m", ""));
  answer.Collect(Last(FinishReason::kLength));
  const Json whole = answer.Whole({.completion_tokens = 3, .reasoning_tokens = 2});
  EXPECT_EQ(Print(whole["choices"][0]["message"]),
            R"({"role":"assistant","reasoning_content":"hm","content":"i","refusal":null})");
  EXPECT_EQ(Print(whole["usage"]["completion_tokens_details"]), R"({"reasoning_tokens":2})");
}

TEST_F(AnswerTest, ChatThatEndsInItsReasoningHasEmptyContent) {
  context_.reasoning = true;
  ChatAnswer answer(context_);
  answer.Collect(Thought("hm", ""));
  const Json message = answer.Whole({})["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "hm");
  EXPECT_EQ(message["content"], "");
}

TEST_F(AnswerTest, ChatWithoutReasoningSaysNull) {
  context_.reasoning = true;
  ChatAnswer answer(context_);
  answer.Collect(Delta("hi"));
  const Json message = answer.Whole({})["choices"][0]["message"];
  EXPECT_TRUE(message["reasoning_content"].is_null());
  EXPECT_EQ(message["content"], "hi");
}

TEST_F(AnswerTest, ChatReasoningChunks) {
  context_.reasoning = true;
  ChatAnswer answer(context_);
  std::string deltas;
  for (const ChoiceDelta& delta : {Thought("h", ""), Thought("m", "i"), Last()}) {
    for (const Json& chunk : answer.Chunks(delta)) {
      deltas += Print(chunk["choices"][0]["delta"]) + "\n";
    }
  }
  EXPECT_EQ(deltas, R"({"role":"assistant","content":"","reasoning_content":null})"
                    "\n"
                    R"({"reasoning_content":"h"})"
                    "\n"
                    R"({"reasoning_content":"m"})"
                    "\n"
                    R"({"content":"i","reasoning_content":null})"
                    "\n"
                    R"({"content":"","reasoning_content":null})"
                    "\n");
}

TEST_F(AnswerTest, ChatLogprobsFollowTheDivision) {
  context_.reasoning = true;
  context_.logprobs = true;
  context_.return_token_ids = true;
  const auto tokens = [](const Json& logprobs) {
    std::string text;
    for (const Json& token : logprobs["reasoning_content"]) text += token["token"];
    text += "|";
    for (const Json& token : logprobs["content"]) text += token["token"];
    return text;
  };
  ChatAnswer whole(context_);
  whole.Collect(Thought("h", ""));
  whole.Collect(Thought("m", "i"));
  EXPECT_EQ(tokens(whole.Whole({})["choices"][0]["logprobs"]), "hm|i");

  ChatAnswer stream(context_);
  ChoiceDelta marker = Thought("m", "i");
  marker.reasoning = "";
  const std::vector<Json> chunks = stream.Chunks(marker);
  ASSERT_THAT(chunks, SizeIs(3));
  EXPECT_EQ(chunks[1]["choices"][0]["delta"]["reasoning_content"], "");
  EXPECT_EQ(tokens(chunks[1]["choices"][0]["logprobs"]), "m|");
  EXPECT_EQ(Print(chunks[1]["choices"][0]["token_ids"]), "[109]");
  EXPECT_EQ(tokens(chunks[2]["choices"][0]["logprobs"]), "|i");
  EXPECT_EQ(Print(chunks[2]["choices"][0]["token_ids"]), "[105]");
}

TEST_F(AnswerTest, ChatTokenIdsAndRoutedExperts) {
  context_.return_token_ids = true;
  context_.moe_layers = 1;
  context_.experts_per_token = 2;
  ChatAnswer whole(context_);
  ChoiceDelta last = Last();
  last.routed_experts = {3, 1, 2, 0};
  whole.Collect(Delta("h"));
  whole.Collect(last);
  const Json answer = whole.Whole({});
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(Print(answer["prompt_token_ids"]), "[97,98]");
  EXPECT_EQ(Print(choice["token_ids"]), "[104]");
  EXPECT_EQ(Print(choice["routed_experts_shape"]), "[2,1,2]");
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape(choice["routed_experts"].get<std::string>(), &bytes));
  EXPECT_EQ(bytes, std::string("\3\0\0\0\1\0\0\0\2\0\0\0\0\0\0\0", 16));

  ChatAnswer stream(context_);
  const std::vector<Json> chunks = stream.Chunks(Delta("h"));
  EXPECT_EQ(Print(chunks[0]["prompt_token_ids"]), "[97,98]");
  EXPECT_FALSE(chunks[1].contains("prompt_token_ids"));
  EXPECT_EQ(Print(chunks[1]["choices"][0]["token_ids"]), "[104]");
}

TEST_F(AnswerTest, ChunksHaveTheExpertsOfTheirOwnTokens) {
  context_.stream_routed_experts = true;
  context_.moe_layers = 1;
  context_.experts_per_token = 2;
  const auto experts = [](const Json& chunk) {
    const Json& choice = chunk["choices"][0];
    if (!choice.contains("routed_experts")) return std::string("none");
    std::string bytes;
    EXPECT_TRUE(absl::Base64Unescape(choice["routed_experts"].get<std::string>(), &bytes));
    std::string text = Print(choice["routed_experts_shape"]);
    for (std::size_t i = 0; i < bytes.size(); i += 4) text += " " + std::to_string(bytes[i]);
    return text;
  };
  const auto all = [&](const std::vector<Json>& chunks) {
    std::vector<std::string> texts;
    for (const Json& chunk : chunks) texts.push_back(experts(chunk));
    return texts;
  };
  ChoiceDelta delta = Thought("mn", "i");
  delta.token_experts = {3, 1, 2, 0, 5, 4};
  EXPECT_THAT(all(ChatAnswer(context_).Chunks(delta)),
              ElementsAre("none", "[2,1,2] 3 1 2 0", "[1,1,2] 5 4"));
  CompletionAnswer completion(context_, {});
  EXPECT_THAT(all(completion.Chunks(delta)), ElementsAre("[3,1,2] 3 1 2 0 5 4"));
  delta = Delta("x");
  delta.text.clear();  // held back: its experts come all the same
  delta.token_experts = {6, 7};
  EXPECT_THAT(all(completion.Chunks(delta)), ElementsAre("[1,1,2] 6 7"));
  EXPECT_THAT(all(completion.Chunks(Last())), ElementsAre("none"));
}

TEST_F(AnswerTest, CompletionLogprobsWithEcho) {
  context_.logprobs = true;
  CompletionAnswer answer(context_, {"ab"});
  ChoiceDelta first = Delta("\xc3\xa9");
  first.prompt_logprobs = {{'b', -1.5f, {{'c', -1.0f}, {'b', -1.5f}}}};
  answer.Collect(first);
  answer.Collect(Last());
  const Json choice = answer.Whole({})["choices"][0];
  EXPECT_EQ(choice["text"], "ab\xc3\xa9");
  EXPECT_EQ(
      Print(choice["logprobs"]),
      R"({"tokens":["a","b","bytes:\\xc3","bytes:\\xa9"],"token_logprobs":[null,-1.5,-0.5,-0.5],)"
      R"("top_logprobs":[null,{"c":-1.0,"b":-1.5},{"z":-0.25,"bytes:\\xc3":-0.5},)"
      R"({"z":-0.25,"bytes:\\xa9":-0.5}],"text_offset":[0,1,2,3]})");
}

TEST_F(AnswerTest, CompletionEchoWithNothingGenerated) {
  context_.logprobs = true;
  CompletionAnswer answer(context_, {"ab"});
  ChoiceDelta only = Last(FinishReason::kLength);
  only.prompt_logprobs = {{'b', -1.5f, {}}};
  answer.Collect(only);
  const Json choice = answer.Whole({})["choices"][0];
  EXPECT_EQ(choice["text"], "ab");
  EXPECT_EQ(Print(choice["logprobs"]["token_logprobs"]), "[null,-1.5]");
  EXPECT_EQ(choice["finish_reason"], "length");
}

TEST_F(AnswerTest, CompletionChunksGoOnInTheText) {
  context_.logprobs = true;
  CompletionAnswer answer(context_, {});
  EXPECT_EQ(Print(answer.Chunks(Delta("h"))[0]["choices"][0]["logprobs"]["text_offset"]), "[0]");
  const std::vector<Json> second = answer.Chunks(Delta("i"));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0]["object"], "text_completion");
  EXPECT_EQ(second[0]["choices"][0]["text"], "i");
  EXPECT_EQ(Print(second[0]["choices"][0]["logprobs"]["text_offset"]), "[1]");
  EXPECT_EQ(Printed(answer.Chunks(Last())),
            R"({"index":0,"text":"","logprobs":{"tokens":[],"token_logprobs":[],)"
            R"("top_logprobs":[],"text_offset":[]},"finish_reason":"stop"})"
            "\n");
}

TEST_F(AnswerTest, CompletionChoicesKnowTheirPrompt) {
  context_.choices = 4;
  context_.choices_per_prompt = 2;
  context_.return_token_ids = true;
  context_.prompt_token_ids = {ByteIds("a"), ByteIds("b")};
  CompletionAnswer answer(context_, {"a", "b"});
  for (int i = 0; i < 4; ++i) {
    ChoiceDelta delta = Delta(std::to_string(i));
    delta.choice = i;
    answer.Collect(delta);
  }
  std::vector<std::string> texts;
  const Json whole = answer.Whole({});
  for (const Json& choice : whole["choices"]) texts.push_back(choice["text"]);
  EXPECT_THAT(texts, ElementsAre("a0", "a1", "b2", "b3"));
  EXPECT_EQ(Print(whole["choices"][2]["prompt_token_ids"]), "[98]");
  EXPECT_EQ(Print(whole["choices"][2]["token_ids"]), "[50]");
}

}  // namespace
}  // namespace moesaic::router
