#include "router/api/inference_service.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "proto/moesaic/v1/inference.grpc.pb.h"
#include "router/api/api_context.h"
#include "rpc/channel_factory.h"
#include "rpc/server_factory.h"
#include "tests/unit/router/api/byte_tokenizer.h"
#include "tests/unit/router/api/fake_generator.h"

namespace moesaic::router {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class InferenceServiceTest : public testing::Test {
 protected:
  void SetUp() override { Serve({}); }

  void Serve(ApiOptions options) {
    Stop();
    options.model_id = "tiny";
    api_ = std::make_unique<ApiContext>(options, ApiParts{.generator = generator_,
                                                          .tokenizer = *tokenizer_,
                                                          .chat_template = nullptr,
                                                          .generation_config = generation_config_,
                                                          .metrics = metrics_,
                                                          .clock = base::Clock::Real()});
    service_ = MakeInferenceService(*api_);
    rpc::ServerOptions server_options;
    server_options.services = {service_.get()};
    auto server = rpc::StartServer(std::move(server_options));
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    auto channel = rpc::MakeChannel(server_->address(), {});
    ASSERT_TRUE(channel.ok()) << channel.status();
    stub_ = v1::Inference::NewStub(*channel);
  }

  void TearDown() override { Stop(); }

  void Stop() {
    server_ = nullptr;
    if (api_ != nullptr) api_->front_end().Stop();
  }

  struct Outcome {
    std::vector<v1::GenerateResponse> responses;
    grpc::Status status;
    bool degraded = false;  // by its metadata

    std::string Text() const {
      std::string text;
      for (const v1::GenerateResponse& response : responses) text += response.text();
      return text;
    }
  };
  Outcome Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    auto reader = stub_->Generate(&context, request);
    Outcome outcome;
    v1::GenerateResponse response;
    while (reader->Read(&response)) outcome.responses.push_back(response);
    outcome.status = reader->Finish();
    outcome.degraded = context.GetServerInitialMetadata().contains("x-moesaic-degraded");
    return outcome;
  }

  FakeGenerator generator_;
  const std::unique_ptr<model::Tokenizer> tokenizer_ = MakeByteTokenizer();
  model::GenerationConfig generation_config_;
  monitoring::Registry metrics_;
  std::unique_ptr<ApiContext> api_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<rpc::ServerHandle> server_;
  std::unique_ptr<v1::Inference::Stub> stub_;
};

TEST_F(InferenceServiceTest, StreamsTextAndTokens) {
  generator_.AnswerWith("hello");
  v1::GenerateRequest request;
  request.set_text("ab");
  request.mutable_sampling()->set_temperature(0);
  const Outcome outcome = Generate(request);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  EXPECT_EQ(outcome.Text(), "hello");
  ASSERT_FALSE(outcome.responses.empty());
  const v1::GenerateResponse& last = outcome.responses.back();
  EXPECT_EQ(last.finish_reason(), v1::FINISH_REASON_STOP);
  EXPECT_EQ(last.prompt_tokens(), 2u);
  EXPECT_EQ(last.completion_tokens(), 6u);
  EXPECT_EQ(generator_.request(0).sampling.temperature, 0.0f);
  EXPECT_EQ(generator_.request(0).prompt_token_ids, ByteIds("ab"));
}

TEST_F(InferenceServiceTest, PassesResumeAndLogprobs) {
  generator_.SetScript([](const GenerationRequest& request, Generator::Sink& sink) {
    EXPECT_THAT(request.resume_token_ids, ElementsAre(7));
    GenerationEvent event = Finished(FinishReason::kLength);
    event.token_ids = {'x'};
    event.logprobs = {{'x', -0.5f, {{'y', -0.25f}}}};
    event.prompt_logprobs = {{'b', -2.0f, {}}};
    sink(std::move(event));
    return absl::OkStatus();
  });
  v1::GenerateRequest request;
  request.mutable_prompt_token_ids()->add_ids('a');
  request.mutable_prompt_token_ids()->add_ids('b');
  request.add_resume_token_ids(7);
  request.set_top_logprobs(1);
  request.set_prompt_logprobs(true);
  const Outcome outcome = Generate(request);
  ASSERT_TRUE(outcome.status.ok()) << outcome.status.error_message();
  ASSERT_EQ(outcome.responses.size(), 1u);
  EXPECT_EQ(outcome.responses[0].logprobs(0).top(0).token_id(), static_cast<unsigned>('y'));
  EXPECT_EQ(outcome.responses[0].prompt_logprobs(0).logprob(), -2.0f);
  EXPECT_EQ(outcome.responses[0].finish_reason(), v1::FINISH_REASON_LENGTH);
}

TEST_F(InferenceServiceTest, SaysWhatWasDegraded) {
  generator_.SetScript([](const GenerationRequest&, Generator::Sink& sink) {
    GenerationEvent event = Finished();
    event.degraded_tokens = 5;
    sink(std::move(event));
    return absl::OkStatus();
  });
  v1::GenerateRequest request;
  request.set_text("a");
  EXPECT_FALSE(Generate(request).degraded);
  ApiOptions options;
  options.degraded = true;
  Serve(std::move(options));
  const Outcome outcome = Generate(request);
  EXPECT_TRUE(outcome.degraded);
  ASSERT_EQ(outcome.responses.size(), 1u);
  EXPECT_EQ(outcome.responses[0].degraded_tokens(), 5u);
}

TEST_F(InferenceServiceTest, BadFieldsAreInvalidArgument) {
  v1::GenerateRequest no_prompt;
  EXPECT_EQ(Generate(no_prompt).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::GenerateRequest hot;
  hot.set_text("a");
  hot.mutable_sampling()->set_temperature(9);
  const Outcome outcome = Generate(hot);
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(outcome.status.error_message(), HasSubstr("temperature"));
  v1::GenerateRequest other_model;
  other_model.set_text("a");
  other_model.set_model("other");
  EXPECT_EQ(Generate(other_model).status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(metrics_.Get(monitoring::metrics::kRequestOutcomesTotal, {"refused"}).Value(), 3);
}

TEST_F(InferenceServiceTest, ClientThatLeavesCancels) {
  grpc::ClientContext context;
  v1::GenerateRequest request;
  request.set_text("a");
  auto reader = stub_->Generate(&context, request);
  ASSERT_TRUE(generator_.AwaitSubmitted(1));
  context.TryCancel();
  EXPECT_TRUE(generator_.AwaitCancelled(1));
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(InferenceServiceTest, DrainRefuses) {
  api_->StartDrain();
  v1::GenerateRequest request;
  request.set_text("a");
  EXPECT_EQ(Generate(request).status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace moesaic::router
