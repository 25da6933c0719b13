#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "kernels/philox.h"

namespace moesaic::kernels {

/// How the next token is drawn. The defaults draw from the model's own distribution.
struct SamplingParams {
  /// 0 chooses the largest logit (ties: lowest id). ≥ 0.
  float temperature = 1;
  /// Keeps the k most likely tokens; 0 keeps all.
  int top_k = 0;
  /// Keeps the most likely tokens whose probabilities first reach top_p together. (0, 1].
  float top_p = 1;
  /// Keeps tokens at least min_p times as likely as the most likely one. [0, 1].
  float min_p = 0;
  /// Divides positive and multiplies negative logits of every token seen in the prompt or the
  /// output (Keskar et al., CTRL, section 4.1). > 0.
  float repetition_penalty = 1;
  /// Subtracted once from the logit of every generated token.
  float presence_penalty = 0;
  /// Subtracted as often as the token was generated.
  float frequency_penalty = 0;
};

struct LogitBias {
  std::int32_t token = 0;
  float bias = 0;
};

/// How often a sequence has generated each token, and which it has seen at all: what penalties
/// need. Single-thread, or handed from thread to thread.
class TokenHistory {
 public:
  void AddPrompt(absl::Span<const std::int32_t> tokens);
  void AddGenerated(std::int32_t token);
  /// Token → times generated (0: in the prompt only).
  const absl::flat_hash_map<std::int32_t, std::int32_t>& counts() const { return counts_; }

 private:
  absl::flat_hash_map<std::int32_t, std::int32_t> counts_;
};

/// Everything that shapes one draw besides the logits. Borrows for the call.
struct SamplingInput {
  SamplingParams params;
  /// Needed only where a penalty is set; may be null.
  const TokenHistory* history = nullptr;
  absl::Span<const LogitBias> logit_bias;
  /// Tokens that must not be drawn now (min_tokens: the stop ids). Ids outside the vocabulary here,
  /// in logit_bias or in history are ignored.
  absl::Span<const std::int32_t> forbidden;
  SampleKey key;
};

/// Turns raw logits into the ones sampled from, in place: forbidden tokens become -inf, then bias,
/// repetition penalty, frequency penalty, presence penalty. logits: [vocab].
void AdjustLogits(const SamplingInput& input, absl::Span<float> logits);

/// Adjusts `logits` ([vocab], overwritten: hand in a copy when the raw ones are still needed) and
/// draws a token. p_i = Exp((x_i - max x) / temperature); min_p keeps p_i ≥ min_p, then top_k, then
/// top_p over what is left (both by descending p, ties lowest id first); the draw walks the kept
/// tokens in ascending id and takes the first whose running sum exceeds u * total. Sums run in
/// double, in that order, so the result is the same on every target.
/// Errors: InvalidArgument for a parameter out of range or empty logits; OutOfRange when a logit is
/// NaN or +inf, or when every token is forbidden.
absl::StatusOr<std::int32_t> SampleToken(const SamplingInput& input, absl::Span<float> logits);

/// The index of the largest value, ties to the lowest. -1 when there is none or any value is NaN.
std::int32_t ArgMax(absl::Span<const float> values);

}  // namespace moesaic::kernels
