#include "router/api/api_server.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/retry_delay.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "http/client.h"
#include "http/error_map.h"
#include "model/chat_template.h"
#include "model/generation_config.h"
#include "router/api/json.h"
#include "tests/unit/router/api/byte_tokenizer.h"
#include "tests/unit/router/api/fake_generator.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

class ApiServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto chat_template = model::ChatTemplate::Compile(
        "{% for m in messages %}{{ m.role }}:{{ m.content }};{% endfor %}");
    ASSERT_TRUE(chat_template.ok()) << chat_template.status();
    chat_template_.emplace(*std::move(chat_template));
    options_.model_id = "org/tiny";
    options_.build_version = "1.2.3";
    options_.numerics_id = "abc";
    generator_.AnswerWith("hello");
    Build();
  }

  void Build() {
    server_ = nullptr;
    auto server =
        ApiServer::Build(options_, {.generator = generator_,
                                    .tokenizer = *tokenizer_,
                                    .chat_template = chat_template_ ? &*chat_template_ : nullptr,
                                    .generation_config = generation_config_,
                                    .metrics = metrics_,
                                    .clock = base::Clock::Real()});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto client = http::Client::Create(absl::StrCat("http://127.0.0.1:", server_->port()));
    client_.emplace(*std::move(client));
  }

  http::Response Post(std::string_view path, const std::string& body,
                      std::vector<http::Header> headers = {}) {
    auto response = client_->Post(path, body, std::move(headers));
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::Response();
  }
  http::Response Get(std::string_view path) {
    auto response = client_->Get(path);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *std::move(response) : http::Response();
  }
  Json PostJson(std::string_view path, const std::string& body, int status = 200) {
    const http::Response response = Post(path, body);
    EXPECT_EQ(response.status, status) << response.body;
    return Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  }
  std::vector<std::string> Stream(std::string_view path, const std::string& body) {
    std::vector<std::string> events;
    const auto response = client_->PostStreaming(path, body, [&](std::string_view data) {
      events.emplace_back(data);
      return true;
    });
    EXPECT_TRUE(response.ok()) << response.status();
    return events;
  }
  static std::string HeaderOf(const http::Response& response, std::string_view name) {
    for (const http::Header& header : response.headers) {
      if (http::HeaderNamesEqual(header.name, name)) return header.value;
    }
    return {};
  }

  static constexpr char kChat[] = R"({"messages":[{"role":"user","content":"hi"}]})";

  FakeGenerator generator_;
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
  std::optional<model::ChatTemplate> chat_template_;
  model::GenerationConfig generation_config_;
  monitoring::Registry metrics_;
  ApiOptions options_;
  std::unique_ptr<ApiServer> server_;
  std::optional<http::Client> client_;
};

TEST_F(ApiServerTest, Chat) {
  for (const char* path : {"/v1/chat/completions", "/chat/completions"}) {
    const Json answer = PostJson(path, kChat);
    EXPECT_EQ(answer["model"], "org/tiny");
    EXPECT_EQ(answer["system_fingerprint"], "abc");
    EXPECT_EQ(answer["choices"][0]["message"]["content"], "hello");
    EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
    EXPECT_EQ(answer["usage"]["prompt_tokens"], 8);
    EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
  }
  EXPECT_EQ(generator_.request(0).prompt_token_ids, ByteIds("user:hi;"));
}

TEST_F(ApiServerTest, ChatStream) {
  const std::vector<std::string> events = Stream(
      "/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],"stream":true,)"
                              R"("stream_options":{"include_usage":true}})");
  ASSERT_GE(events.size(), 4u);
  EXPECT_EQ(events.back(), "[DONE]");
  std::string text, id;
  for (std::size_t i = 0; i + 1 < events.size(); ++i) {
    const Json chunk = Json::parse(events[i]);
    if (id.empty()) id = chunk["id"];
    EXPECT_EQ(chunk["id"], id);
    if (i + 2 == events.size()) {
      EXPECT_EQ(Print(chunk["choices"]), "[]");
      EXPECT_EQ(chunk["usage"]["completion_tokens"], 6);
      continue;
    }
    const Json& choice = chunk["choices"][0];
    EXPECT_EQ(choice["delta"].contains("role"), i == 0);
    if (choice["delta"].contains("content")) text += choice["delta"]["content"];
    EXPECT_EQ(choice["finish_reason"].is_null(), i + 3 != events.size());
  }
  EXPECT_THAT(id, StartsWith("chatcmpl-"));
  EXPECT_EQ(text, "hello");
}

class ReasoningApiTest : public ApiServerTest {
 protected:
  void SetUp() override {
    options_.parse_reasoning = true;
    ApiServerTest::SetUp();
    auto chat_template = model::ChatTemplate::Compile(
        "{% for m in messages %}{{ m.role }}:{{ m.content }};{{ m.reasoning_content }}{% endfor %}"
        "{% if enable_thinking is not false %}<think>{% endif %}");
    ASSERT_TRUE(chat_template.ok()) << chat_template.status();
    chat_template_.emplace(*std::move(chat_template));
    generator_.AnswerWith("hm\n</think>\n\nyes");
    Build();
  }
};

TEST_F(ReasoningApiTest, Whole) {
  const Json answer = PostJson("/v1/chat/completions", kChat);
  const Json& message = answer["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "hm\n");
  EXPECT_EQ(message["content"], "yes");
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 11);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 17);
}

TEST_F(ReasoningApiTest, Stream) {
  std::string reasoning, content;
  for (const std::string& event :
       Stream("/v1/chat/completions",
              R"({"messages":[{"role":"user","content":"hi"}],"stream":true,"n":2})")) {
    if (event == "[DONE]") break;
    const Json choice = Json::parse(event)["choices"][0];
    if (choice["index"] == 1) continue;
    const std::string thought = choice["delta"].value("reasoning_content", Json()).is_string()
                                    ? choice["delta"]["reasoning_content"].get<std::string>()
                                    : "";
    EXPECT_TRUE(thought.empty() || content.empty());
    reasoning += thought;
    if (choice["delta"].contains("content")) content += choice["delta"]["content"];
  }
  EXPECT_EQ(reasoning, "hm\n");
  EXPECT_EQ(content, "yes");
}

TEST_F(ReasoningApiTest, TemplateArgumentsDecide) {
  generator_.AnswerWith("yes");
  const Json answer =
      PostJson("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}],)"
                                       R"("chat_template_kwargs":{"enable_thinking":false}})");
  EXPECT_TRUE(answer["choices"][0]["message"]["reasoning_content"].is_null());
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "yes");
}

TEST_F(ReasoningApiTest, EarlierReasoningIsRendered) {
  PostJson("/v1/chat/completions",
           R"({"messages":[{"role":"user","content":"a"},{"role":"assistant",)"
           R"("reasoning_content":"T","content":"b"},{"role":"user","content":"c"}]})");
  EXPECT_EQ(generator_.request(0).prompt_token_ids, ByteIds("user:a;assistant:b;Tuser:c;<think>"));
}

TEST_F(ReasoningApiTest, CompletionsAreNotDivided) {
  const Json answer = PostJson("/v1/completions", R"({"prompt":"<think>"})");
  EXPECT_EQ(answer["choices"][0]["text"], "hm\n</think>\n\nyes");
}

TEST_F(ApiServerTest, CompletionOfSeveralPromptsAndChoices) {
  const Json answer = PostJson("/v1/completions", R"({"prompt":["a","bc"],"n":2,"seed":7})");
  ASSERT_EQ(answer["choices"].size(), 4u);
  EXPECT_EQ(answer["choices"][3]["index"], 3);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 24);
  EXPECT_EQ(generator_.request(1).choice, 1);
  EXPECT_EQ(generator_.request(2).prompt_token_ids, ByteIds("bc"));
  EXPECT_EQ(generator_.request(2).sampling.seed, 7u);
}

TEST_F(ApiServerTest, CompletionEchoScoresThePrompt) {
  generator_.SetScript([](const GenerationRequest& request, Generator::Sink& sink) {
    EXPECT_EQ(request.max_tokens, 0);
    EXPECT_EQ(request.prompt_top_logprobs, 1);
    GenerationEvent event = Finished(FinishReason::kLength);
    event.prompt_logprobs = {{'b', -0.1f, {{'c', -0.05f}}}};
    sink(std::move(event));
    return absl::OkStatus();
  });
  const Json answer =
      PostJson("/v1/completions", R"({"prompt":[97,98],"echo":true,"max_tokens":0,"logprobs":1})");
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["text"], "ab");
  EXPECT_EQ(choice["logprobs"]["tokens"].size(), 2u);
  EXPECT_TRUE(choice["logprobs"]["token_logprobs"][0].is_null());
  EXPECT_EQ(choice["logprobs"]["token_logprobs"][1].get<double>(), static_cast<double>(-0.1f));
  EXPECT_EQ(choice["finish_reason"], "length");
}

TEST_F(ApiServerTest, StopTextAcrossTokens) {
  const Json answer = PostJson("/v1/completions", R"({"prompt":"a","stop":["ll"]})");
  EXPECT_EQ(answer["choices"][0]["text"], "he");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
}

TEST_F(ApiServerTest, RequestErrors) {
  const struct {
    const char* path;
    std::string body;
    int status;
    const char* param;  // null: none
    const char* code;
  } cases[] = {
      {"/v1/chat/completions", "{", 400, nullptr, nullptr},
      {"/v1/chat/completions", "{\"messages\":\"\xff\"}", 400, nullptr, nullptr},
      {"/v1/chat/completions", "{}", 400, "messages", nullptr},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"temperature":3})",
       400, "temperature", nullptr},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"tools":[1]})", 400,
       "tools", "unsupported_parameter"},
      {"/v1/chat/completions", R"({"messages":[{"role":"user","content":"x"}],"model":"other"})",
       404, "model", "model_not_found"},
      {"/v1/completions", R"({"prompt":"x","max_tokens":5000})", 400, nullptr,
       "context_length_exceeded"},
      {"/v1/completions", R"({"prompt":"x","return_routed_experts":true})", 400,
       "return_routed_experts", "unsupported_parameter"},
      {"/tokenize", R"({})", 400, "messages", nullptr},
      {"/detokenize", R"({"tokens":"x"})", 400, "tokens", nullptr},
  };
  for (const auto& c : cases) {
    const Json error = PostJson(c.path, c.body, c.status)["error"];
    EXPECT_TRUE(error["message"].is_string()) << c.body;
    EXPECT_EQ(error["param"], c.param ? Json(c.param) : Json(nullptr)) << c.body;
    EXPECT_EQ(error["code"], c.code ? Json(c.code) : Json(nullptr)) << c.body;
  }
}

TEST_F(ApiServerTest, EveryRefusedGenerationIsCountedOnceWithItsCode) {
  const auto count = [this](const monitoring::CounterDef& metric,
                            std::initializer_list<std::string_view> labels) {
    return metrics_.Get(metric, labels).Value();
  };
  using monitoring::metrics::kRequestOutcomesTotal;
  using monitoring::metrics::kRequestsTotal;
  Post("/v1/chat/completions", "{");
  Post("/v1/completions", R"({"prompt":"x","temperature":3})");
  Post("/v1/completions", R"({"prompt":"x","model":"other"})");
  Post("/tokenize", "{");  // no generation
  generator_.SetScript([](const GenerationRequest&, Generator::Sink&) {
    return absl::ResourceExhaustedError("queue full");
  });
  Post("/v1/completions", R"({"prompt":"x"})");
  // An answer is here before its end is counted; a server that stops in between counts it as cut.
  const auto counted = [&count] {
    return count(kRequestsTotal, {"/chat/completions", "400"}) +
           count(kRequestsTotal, {"/completions", "400"}) +
           count(kRequestsTotal, {"/completions", "404"}) +
           count(kRequestsTotal, {"/completions", "429"});
  };
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (counted() < 4 && absl::Now() < deadline) std::this_thread::yield();
  server_ = nullptr;  // what it counts after an answer, it has counted
  EXPECT_EQ(count(kRequestOutcomesTotal, {"refused"}), 4);
  EXPECT_EQ(count(kRequestsTotal, {"/chat/completions", "400"}), 1);
  EXPECT_EQ(count(kRequestsTotal, {"/completions", "400"}), 1);
  EXPECT_EQ(count(kRequestsTotal, {"/completions", "404"}), 1);
  EXPECT_EQ(count(kRequestsTotal, {"/completions", "429"}), 1);
}

TEST_F(ApiServerTest, FullQueueIs429WithRetryAfter) {
  generator_.SetScript([](const GenerationRequest&, Generator::Sink&) {
    return base::WithRetryDelay(absl::ResourceExhaustedError("queue full"),
                                absl::Milliseconds(1500));
  });
  for (const char* stream : {"false", "true"}) {
    const http::Response response =
        Post("/v1/completions", absl::StrCat(R"({"prompt":"a","stream":)", stream, "}"));
    EXPECT_EQ(response.status, 429);
    EXPECT_EQ(HeaderOf(response, "retry-after"), "2");
    EXPECT_EQ(Json::parse(response.body)["error"]["code"], "rate_limit_exceeded");
  }
}

TEST_F(ApiServerTest, ErrorInMidStreamIsAnEvent) {
  generator_.SetScript([](const GenerationRequest&, Generator::Sink& sink) {
    sink(Tokens("x"));
    sink(Failed(absl::InternalError("non-finite logits")));
    return absl::OkStatus();
  });
  const std::vector<std::string> events =
      Stream("/v1/completions", R"({"prompt":"a","stream":true})");
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(Json::parse(events[1])["error"]["message"], "non-finite logits");
  EXPECT_EQ(events[2], "[DONE]");
}

TEST_F(ApiServerTest, ClientThatLeavesCancels) {
  generator_.SetScript([](const GenerationRequest&, Generator::Sink& sink) {
    sink(Tokens("x"));
    return absl::OkStatus();
  });
  const auto left =
      client_->PostStreaming("/v1/completions", R"({"prompt":"a","stream":true,"n":2})",
                             [](std::string_view) { return false; });
  EXPECT_TRUE(left.ok()) << left.status();
  ASSERT_TRUE(generator_.AwaitCancelled(2));
  EXPECT_THAT(generator_.cancelled(), UnorderedElementsAre(0, 1));
}

TEST_F(ApiServerTest, RequestIdAndTiming) {
  const http::Response echoed =
      Post("/v1/completions", R"({"prompt":"a"})", {{"X-Request-Id", "my-id.1"}});
  EXPECT_EQ(HeaderOf(echoed, "x-request-id"), "my-id.1");
  EXPECT_EQ(Json::parse(echoed.body)["id"], "cmpl-my-id.1");
  EXPECT_NE(HeaderOf(echoed, "openai-processing-ms"), "");
  const http::Response replaced =
      Post("/v1/completions", R"({"prompt":"a"})", {{"X-Request-Id", "no spaces please"}});
  EXPECT_EQ(HeaderOf(replaced, "x-request-id").size(), 32u);
}

TEST_F(ApiServerTest, TimeoutHeaderSetsTheDeadline) {
  const absl::Duration before = base::Clock::Real().Monotonic();
  Post("/v1/completions", R"({"prompt":"a"})", {{"X-Request-Timeout-Ms", "5000"}});
  Post("/v1/completions", R"({"prompt":"a"})", {{"X-Request-Timeout-Ms", "999999999999"}});
  EXPECT_GE(generator_.request(0).deadline, before + absl::Seconds(5));
  EXPECT_LE(generator_.request(0).deadline, before + absl::Seconds(65));
  EXPECT_LE(generator_.request(1).deadline, before + absl::Hours(1) + absl::Seconds(60));
  EXPECT_EQ(Post("/v1/completions", R"({"prompt":"a"})", {{"X-Request-Timeout-Ms", "soon"}}).status,
            400);
}

TEST_F(ApiServerTest, StatusEndpoints) {
  EXPECT_EQ(Json::parse(Get("/v1/models").body)["data"][0]["id"], "org/tiny");
  EXPECT_EQ(Json::parse(Get("/models/org/tiny").body)["id"], "org/tiny");
  EXPECT_EQ(Get("/v1/models/other").status, 404);
  EXPECT_EQ(Json::parse(Get("/version").body)["version"], "1.2.3");
  EXPECT_EQ(Get("/health").status, 200);
  generator_.SetReady(absl::UnavailableError("unit 3 of layer 1 has no live replica"));
  const http::Response unready = Get("/health");
  EXPECT_EQ(unready.status, 503);
  EXPECT_THAT(unready.body, HasSubstr("unit 3 of layer 1"));
  EXPECT_EQ(Get("/live").status, 200);
}

TEST_F(ApiServerTest, ADrainingRouterSaysSoAndStillListens) {
  EXPECT_EQ(Get("/readyz").status, 200);
  server_->StartDrain();
  EXPECT_EQ(Get("/readyz").status, 503);
  EXPECT_EQ(Get("/livez").status, 200);
  const http::Response refused = Post("/v1/completions", R"({"prompt":"a"})");
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(std::any_of(refused.headers.begin(), refused.headers.end(), [](const auto& header) {
    return http::HeaderNamesEqual(header.name, "Retry-After") && header.value == "1";
  }));
}

TEST_F(ApiServerTest, TokenizeAndDetokenize) {
  EXPECT_EQ(Print(PostJson("/tokenize", R"({"prompt":"ab","return_token_strs":true})")),
            R"({"count":2,"max_model_len":4096,"tokens":[97,98],"token_strs":["a","b"]})");
  EXPECT_EQ(PostJson("/tokenize", kChat)["count"], 8);
  EXPECT_EQ(Print(PostJson("/detokenize", R"({"tokens":[97,98,256]})")),
            R"({"prompt":"ab<|end|>"})");
}

TEST_F(ApiServerTest, MetricsCountWhatHappened) {
  Post("/v1/completions", R"({"prompt":"a","frobnicate":1})");
  Get("/v1/whatever");
  const std::vector<std::string> expected = {
      "moesaic_requests_total{code=\"200\",endpoint=\"/completions\"} 1",
      "moesaic_requests_total{code=\"404\",endpoint=\"other\"} 1",
      "moesaic_unknown_request_fields_total 1",
      "moesaic_generated_tokens_total{tenant=\"default\"} 6",
      "moesaic_time_to_first_token_seconds_count 1",
  };
  // A request is counted when its answer has been sent, which its client may notice first.
  const absl::Time until = absl::Now() + absl::Seconds(10);
  std::string text;
  const auto shown = [&text](const std::string& line) { return absl::StrContains(text, line); };
  do {
    text = Get("/metrics").body;
  } while (!std::all_of(expected.begin(), expected.end(), shown) && absl::Now() < until);
  for (const std::string& line : expected) EXPECT_THAT(text, HasSubstr(line));
}

TEST_F(ApiServerTest, NoChatTemplateIsAClearError) {
  chat_template_.reset();
  Build();
  EXPECT_THAT(PostJson("/v1/chat/completions", kChat, 400)["error"]["message"].get<std::string>(),
              HasSubstr("no chat template"));
}

TEST_F(ApiServerTest, InDegradedModeEveryAnswerIsMarked) {
  const std::string body = R"({"prompt":"a"})";
  const std::string streamed = R"({"prompt":"a","stream":true})";
  const auto header_of_stream = [&] {
    const auto response =
        client_->PostStreaming("/v1/completions", streamed, [](std::string_view) { return true; });
    return response.ok() ? HeaderOf(*response, "x-moesaic-degraded") : "no answer";
  };
  const http::Response plain = Post("/v1/completions", body);
  EXPECT_EQ(HeaderOf(plain, "x-moesaic-degraded"), "");
  EXPECT_THAT(plain.body, testing::Not(HasSubstr("degraded")));
  EXPECT_EQ(header_of_stream(), "");

  options_.degraded = true;
  Build();
  const http::Response marked = Post("/v1/completions", body);
  EXPECT_EQ(HeaderOf(marked, "x-moesaic-degraded"), "renormalize");
  EXPECT_EQ(Json::parse(marked.body)["choices"][0]["degraded_tokens"], 0);
  EXPECT_EQ(header_of_stream(), "renormalize");
  EXPECT_EQ(HeaderOf(Get("/v1/models"), "x-moesaic-degraded"), "") << "generates nothing";
}

TEST_F(ApiServerTest, ShutdownCancelsWhatIsStillRunning) {
  generator_.SetScript(nullptr);
  std::thread client([&] { (void)client_->Post("/v1/completions", R"({"prompt":"a"})"); });
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  server_->Shutdown(absl::ZeroDuration());
  client.join();
  EXPECT_THAT(generator_.cancelled(), ElementsAre(0));
}

TEST_F(ApiServerTest, BadOptionsAreRefused) {
  options_.model_id = "";
  const auto server = ApiServer::Build(options_, {.generator = generator_,
                                                  .tokenizer = *tokenizer_,
                                                  .chat_template = nullptr,
                                                  .generation_config = generation_config_,
                                                  .metrics = metrics_,
                                                  .clock = base::Clock::Real()});
  EXPECT_EQ(server.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace moesaic::router
