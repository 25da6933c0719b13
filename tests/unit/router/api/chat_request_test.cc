#include "router/api/chat_request.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

using ::testing::HasSubstr;

absl::StatusOr<ChatRequest> ParseChat(const std::string& fields) {
  return ParseChatRequest(
      Json::parse(R"({"messages":[{"role":"user","content":"hi"}])" + fields + "}"));
}

absl::StatusOr<ChatRequest> ParseMessages(const std::string& messages) {
  return ParseChatRequest(Json::parse("{\"messages\":" + messages + "}"));
}

TEST(ChatRequestTest, UnbuiltFieldsAreRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"tools", R"([{"type":"function"}])"},
      {"tool_choice", "\"auto\""},
      {"functions", R"([{}])"},
      {"function_call", "\"auto\""},
      {"response_format", R"({"type":"json_object"})"},
      {"response_format", R"({"type":"json_schema"})"},
      {"modalities", R"(["text","audio"])"},
      {"audio", R"({"voice":"x"})"},
      {"chat_template", "\"{{ x }}\""},
  };
  for (const auto& [name, value] : cases) {
    const auto request = ParseChat(std::string(",\"") + name + "\":" + value);
    EXPECT_EQ(http::ErrorCodeOf(request.status()), "unsupported_parameter") << name;
    EXPECT_EQ(http::ParamOf(request.status()), name);
    EXPECT_EQ(http::HttpStatusOf(request.status()), 400);
  }
}

TEST(ChatRequestTest, UnbuiltFieldsThatAskForNothingPass) {
  const auto request = ParseChat(
      R"(,"tools":[],"tool_choice":"none","functions":null,"response_format":{"type":"text"},)"
      R"("parallel_tool_calls":true,"modalities":["text"])");
  EXPECT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->unknown_fields, 0);
}

TEST(ChatRequestTest, UnknownFieldsAreCounted) {
  EXPECT_EQ(ParseChat(R"(,"frobnicate":1,"store":true)")->unknown_fields, 2);
}

TEST(ChatRequestTest, MaxCompletionTokensWins) {
  EXPECT_EQ(ParseChat(R"(,"max_tokens":5,"max_completion_tokens":7)")->max_tokens, 7);
  EXPECT_EQ(ParseChat(R"(,"max_tokens":5)")->max_tokens, 5);
  EXPECT_EQ(ParseChat("")->max_tokens, std::nullopt);
  EXPECT_EQ(http::ParamOf(ParseChat(R"(,"max_tokens":0)").status()), "max_tokens");
  EXPECT_EQ(http::ParamOf(ParseChat(R"(,"max_completion_tokens":0)").status()),
            "max_completion_tokens");
}

TEST(ChatRequestTest, Logprobs) {
  EXPECT_EQ(ParseChat("")->top_logprobs, std::nullopt);
  EXPECT_EQ(ParseChat(R"(,"logprobs":true)")->top_logprobs, 0);
  EXPECT_EQ(ParseChat(R"(,"logprobs":true,"top_logprobs":20)")->top_logprobs, 20);
  EXPECT_EQ(http::ParamOf(ParseChat(R"(,"logprobs":true,"top_logprobs":21)").status()),
            "top_logprobs");
  EXPECT_EQ(http::ParamOf(ParseChat(R"(,"top_logprobs":2)").status()), "top_logprobs");
}

TEST(ChatRequestTest, MessagesAreNormalised) {
  const auto request = ParseMessages(
      R"([{"role":"developer","content":"be brief"},)"
      R"({"role":"user","name":"kim","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(
      Print(request->prompt.messages),
      R"([{"role":"system","content":"be brief"},{"role":"user","name":"kim","content":"ab"}])");
}

TEST(ChatRequestTest, EarlierReasoningGoesToTheTemplate) {
  const auto request =
      ParseMessages(R"([{"role":"assistant","reasoning_content":"hm","content":"a"},)"
                    R"({"role":"assistant","reasoning_content":null,"content":"b"},)"
                    R"({"role":"user","content":"c"}])");
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(Print(request->prompt.messages),
            R"([{"role":"assistant","reasoning_content":"hm","content":"a"},)"
            R"({"role":"assistant","content":"b"},{"role":"user","content":"c"}])");
  EXPECT_EQ(request->unknown_fields, 0);
}

TEST(ChatRequestTest, BadMessagesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "messages"},
      {"{}", "messages"},
      {"[3]", "messages[0]"},
      {R"([{"content":"x"}])", "messages[0]"},
      {R"([{"role":"wizard","content":"x"}])", "messages[0]"},
      {R"([{"role":"user","content":"x"},{"role":"user"}])", "messages[1]"},
      {R"([{"role":"user","content":3}])", "messages[0]"},
      {R"([{"role":"user","content":[{"type":"image_url"}]}])", "messages[0]"},
      {R"([{"role":"assistant","content":"x","tool_calls":[{}]}])", "messages[0]"},
      {R"([{"role":"assistant","content":"x","prefix":true}])", "messages[0]"},
      {R"([{"role":"assistant","content":"x","reasoning_content":[1]}])", "messages[0]"},
  };
  for (const auto& [messages, param] : cases) {
    const auto request = ParseMessages(messages);
    EXPECT_EQ(request.status().code(), absl::StatusCode::kInvalidArgument) << messages;
    EXPECT_EQ(http::ParamOf(request.status()), param) << messages;
  }
  EXPECT_EQ(http::ParamOf(ParseChatRequest(Json::object()).status()), "messages");
}

TEST(ChatRequestTest, ContinueFinalMessageNeedsAnAssistant) {
  EXPECT_EQ(http::ParamOf(ParseChat(R"(,"continue_final_message":true)").status()),
            "continue_final_message");
}

class RenderChatTest : public testing::Test {
 protected:
  absl::StatusOr<std::string> Render(const std::string& fields) {
    auto request = ParseChatRequest(Json::parse(fields));
    if (!request.ok()) return request.status();
    auto chat_template = model::ChatTemplate::Compile(
        "{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}{{ mode }}");
    EXPECT_TRUE(chat_template.ok()) << chat_template.status();
    model::TokenizerConfig config;
    config.bos_token = "<bos>";
    return RenderChat(request->prompt, *chat_template, config);
  }
};

TEST_F(RenderChatTest, AsksForAnAnswerByDefault) {
  EXPECT_EQ(*Render(R"({"messages":[{"role":"user","content":"hi"}]})"),
            "<bos><user>hi<end><assistant>");
  EXPECT_EQ(*Render(R"({"messages":[{"role":"user","content":"hi"}],"add_generation_prompt":false,)"
                    R"("chat_template_kwargs":{"mode":"x"}})"),
            "<bos><user>hi<end>x");
}

TEST_F(RenderChatTest, ContinuesTheFinalMessage) {
  EXPECT_EQ(*Render(R"({"messages":[{"role":"user","content":"hi"},)"
                    R"({"role":"assistant","content":"Well, "}],"continue_final_message":true})"),
            "<bos><user>hi<end><assistant>Well, ");
}

/// Where the answer starts under a template that opens the thinking unless told not to.
AnswerPart StartOf(const std::string& fields, const char* opens = "<think>\n") {
  const auto request = ParseChatRequest(Json::parse(fields));
  EXPECT_TRUE(request.ok()) << request.status();
  const auto chat_template = model::ChatTemplate::Compile(
      std::string("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
                  "{% if add_generation_prompt %}assistant: {% if enable_thinking is false %}"
                  "<think>\n\n</think>\n\n{% else %}") +
      opens + "{% endif %}{% endif %}");
  EXPECT_TRUE(chat_template.ok()) << chat_template.status();
  const auto text = RenderChat(request->prompt, *chat_template, {});
  EXPECT_TRUE(text.ok()) << text.status();
  const auto start = FindAnswerStart(request->prompt, *text, *chat_template, {});
  EXPECT_TRUE(start.ok()) << start.status();
  return *start;
}

TEST(FindAnswerStartTest, TheTemplateOpensTheThinking) {
  EXPECT_EQ(StartOf(R"({"messages":[{"role":"user","content":"hi"}]})"), AnswerPart::kReasoning);
  EXPECT_EQ(StartOf(R"({"messages":[{"role":"user","content":"hi"}],)"
                    R"("chat_template_kwargs":{"enable_thinking":false}})"),
            AnswerPart::kUndecided);
  EXPECT_EQ(StartOf(R"({"messages":[{"role":"user","content":"hi"}]})", ""),
            AnswerPart::kUndecided);
}

TEST(FindAnswerStartTest, TalkOfMarkersOpensAndClosesNothing) {
  for (const char* content :
       {"What is <think>?", "<th<think>ink>", "</think>", "a<think>b</think>"}) {
    const std::string fields =
        std::string(R"({"messages":[{"role":"user","content":")") + content + "\"}]}";
    EXPECT_EQ(StartOf(fields), AnswerPart::kReasoning) << content;
    EXPECT_EQ(StartOf(fields, ""), AnswerPart::kUndecided) << content;
  }
}

TEST(FindAnswerStartTest, AContinuedMessageMayHaveOpenedIt) {
  const auto start = [](const char* content) {
    return StartOf(std::string(R"({"messages":[{"role":"user","content":"hi"},)"
                               R"({"role":"assistant","content":")") +
                   content + R"("}],"continue_final_message":true})");
  };
  EXPECT_EQ(start("<think>So"), AnswerPart::kReasoning);
  EXPECT_EQ(start("<think>So</think>Well"), AnswerPart::kUndecided);
  EXPECT_EQ(start("Well"), AnswerPart::kUndecided);
}

}  // namespace
}  // namespace moesaic::router
