#include "tests/unit/router/router_harness.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <future>
#include <utility>

#include "base/clock.h"
#include "router/engine/kv_store.h"
#include "tests/golden/golden.h"

namespace moesaic::router {

std::string GoldenCheckpointDir(const std::string& checkpoint) {
  return testing::FullGoldenDir().value_or(testing::GoldenDir()) + "/" + checkpoint;
}

RouterHarness::RouterHarness(const std::string& checkpoint, HarnessOptions options) {
  auto opened = model::Checkpoint::Open(GoldenCheckpointDir(checkpoint));
  EXPECT_TRUE(opened.ok()) << opened.status();
  checkpoint_ = *std::move(opened);
  pool_ = std::make_unique<base::ComputePool>(options.threads);
  auto backend =
      testing::LocalExpertBackend::Create(*checkpoint_, options.compute_dtype, options.weight_dtype,
                                          options.compute_dtype, options.unit_size, *pool_);
  EXPECT_TRUE(backend.ok()) << backend.status();
  backend_ = *std::move(backend);
  backend_->set_fault(std::move(options.fault));
  backend_->set_skip(std::move(options.skip));
  RouterCoreOptions core;
  core.compute_dtype = options.compute_dtype;
  core.weight_dtype = options.weight_dtype;
  core.kv_cache_bytes = KvBytesPerToken(config(), options.compute_dtype) *
                        static_cast<std::size_t>(options.kv_tokens);
  core.kv_block_tokens = options.kv_block_tokens;
  core.max_model_len = 2048;
  core.max_num_seqs = options.max_num_seqs;
  core.max_step_tokens = options.max_step_tokens;
  core.max_queue = options.max_queue;
  core.micro_batches = options.micro_batches;
  core.observer = std::move(options.observer);
  auto created = RouterCore::Create(
      *checkpoint_, std::move(core), *pool_, *backend_, [](int, int) {}, base::Clock::Real());
  EXPECT_TRUE(created.ok()) << created.status();
  core_ = *std::move(created);
}

RouterHarness::~RouterHarness() = default;

std::vector<GenerationOutput> RouterHarness::Generate(std::vector<GenerationRequest> requests) {
  std::vector<GenerationOutput> outputs(requests.size());
  std::vector<std::promise<void>> ended(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    auto submitted = scheduler().Submit(
        std::move(requests[i]), [output = &outputs[i], end = &ended[i]](GenerationEvent event) {
          ++output->events;
          std::move(event.prompt_logprobs.begin(), event.prompt_logprobs.end(),
                    std::back_inserter(output->prompt_logprobs));
          std::move(event.logprobs.begin(), event.logprobs.end(),
                    std::back_inserter(output->logprobs));
          output->token_ids.insert(output->token_ids.end(), event.token_ids.begin(),
                                   event.token_ids.end());
          const bool finished = event.finished;
          output->last = std::move(event);
          if (finished) end->set_value();
        });
    if (submitted.ok()) continue;
    outputs[i].last.status = submitted.status();
    ended[i].set_value();
  }
  for (std::promise<void>& end : ended) end.get_future().wait();
  return outputs;
}

GenerationOutput RouterHarness::Generate(GenerationRequest request) {
  std::vector<GenerationRequest> requests;
  requests.push_back(std::move(request));
  return std::move(Generate(std::move(requests)).front());
}

GoldenFile::GoldenFile(const std::string& checkpoint) {
  auto file = model::SafetensorsFile::Open(GoldenCheckpointDir(checkpoint) + "/golden.safetensors");
  EXPECT_TRUE(file.ok()) << file.status();
  file_ = std::make_unique<model::SafetensorsFile>(*std::move(file));
}

std::vector<std::int32_t> GoldenFile::Ints(const std::string& key) const {
  const model::TensorInfo* tensor = file_->Find(key);
  EXPECT_NE(tensor, nullptr) << key;
  if (tensor == nullptr) return {};
  std::vector<std::int64_t> wide(tensor->bytes() / sizeof(std::int64_t));
  std::memcpy(wide.data(), file_->Bytes(*tensor).data(), tensor->bytes());
  return {wide.begin(), wide.end()};
}

std::vector<float> GoldenFile::Floats(const std::string& key) const {
  const model::TensorInfo* tensor = file_->Find(key);
  EXPECT_NE(tensor, nullptr) << key;
  if (tensor == nullptr) return {};
  std::vector<float> values(tensor->bytes() / sizeof(float));
  std::memcpy(values.data(), file_->Bytes(*tensor).data(), tensor->bytes());
  return values;
}

double GoldenFile::LogSoftmaxAt(const std::vector<float>& logits, std::size_t vocab,
                                std::size_t row, std::int32_t token) {
  const float* x = logits.data() + row * vocab;
  const double largest = *std::max_element(x, x + vocab);
  double sum = 0;
  for (std::size_t i = 0; i < vocab; ++i) sum += std::exp(x[i] - largest);
  return x[token] - largest - std::log(sum);
}

GenerationRequest GreedyRequest(std::vector<std::int32_t> prompt, int max_tokens) {
  GenerationRequest request;
  request.prompt_token_ids = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.ignore_eos = true;
  request.top_logprobs = 2;
  request.prompt_top_logprobs = 0;
  request.return_routed_experts = true;
  return request;
}

std::vector<GenerationRequest> MarkedRequests(const GoldenFile& golden, int max_tokens) {
  const std::vector<std::int32_t> prompt = golden.Ints("p2.input_ids");
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 3; ++i) {
    requests.push_back(GreedyRequest({prompt.begin() + i, prompt.end()}, max_tokens));
  }
  requests[1].deadline = kMark;
  return requests;
}

}  // namespace moesaic::router
