#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/compute_pool.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"
#include "router/router_core.h"
#include "router/scheduler/generation.h"
#include "tests/testing/local_expert_backend.h"

namespace moesaic::router {

/// Everything a generation reported.
struct GenerationOutput {
  std::vector<TokenLogprob> prompt_logprobs;
  std::vector<std::int32_t> token_ids;
  std::vector<TokenLogprob> logprobs;
  GenerationEvent last;
  int events = 0;
};

struct HarnessOptions {
  base::DType compute_dtype = base::DType::kF32;
  std::optional<base::DType> weight_dtype = std::nullopt;
  int threads = 2;
  int unit_size = 1;
  int max_step_tokens = 512;
  int max_num_seqs = 32;
  int micro_batches = 1;
  int kv_block_tokens = 16;
  int kv_tokens = 8192;  ///< Capacity of the KV cache.
  int max_queue = 256;
  testing::LocalExpertBackend::Fault fault = {};
  testing::LocalExpertBackend::Skip skip = {};
  LayerObserver observer = {};
};

/// A checkpoint of the golden data, served by a whole RouterCore with its experts in process.
class RouterHarness {
 public:
  /// `checkpoint`: a name in GoldenCheckpoints(). Fails the test on errors.
  RouterHarness(const std::string& checkpoint, HarnessOptions options);
  ~RouterHarness();

  const model::ModelConfig& config() const { return checkpoint_->config(); }
  Scheduler& scheduler() { return core_->scheduler(); }
  /// Submits all at once and waits for all of them.
  std::vector<GenerationOutput> Generate(std::vector<GenerationRequest> requests);
  GenerationOutput Generate(GenerationRequest request);

 private:
  std::unique_ptr<model::Checkpoint> checkpoint_;
  std::unique_ptr<base::ComputePool> pool_;
  std::unique_ptr<testing::LocalExpertBackend> backend_;
  std::unique_ptr<RouterCore> core_;
};

/// golden.safetensors of a checkpoint: the full one where present, else the trimmed one.
class GoldenFile {
 public:
  explicit GoldenFile(const std::string& checkpoint);

  bool Contains(const std::string& key) const { return file_->Find(key) != nullptr; }
  std::vector<std::int32_t> Ints(const std::string& key) const;
  std::vector<float> Floats(const std::string& key) const;
  /// log-softmax in double of row `row` of pN.logits, at `token`.
  static double LogSoftmaxAt(const std::vector<float>& logits, std::size_t vocab, std::size_t row,
                             std::int32_t token);

 private:
  std::unique_ptr<model::SafetensorsFile> file_;
};

/// The folder of a golden checkpoint.
std::string GoldenCheckpointDir(const std::string& checkpoint);

/// A greedy request over a prompt that asks for log-probabilities and ignores EOS.
GenerationRequest GreedyRequest(std::vector<std::int32_t> prompt, int max_tokens);

/// The deadline by which a fault tells the request it is meant for.
inline constexpr absl::Duration kMark = absl::Hours(1000000);
/// Three greedy requests made of the golden's second prompt; the second has the deadline kMark.
std::vector<GenerationRequest> MarkedRequests(const GoldenFile& golden, int max_tokens);

}  // namespace moesaic::router
