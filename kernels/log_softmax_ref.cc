#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "kernels/log_softmax.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {
namespace {

void Row(const LogSoftmaxArgs& args, std::int64_t row) {
  const std::int64_t vocab = args.logits.dim(1);
  const float* x = args.logits.As<float>() + row * vocab;
  const bool valid = std::all_of(x, x + vocab, [](float v) { return std::isfinite(v); });
  args.invalid.As<std::uint8_t>()[row] = valid ? 0 : 1;
  const float max = *std::max_element(x, x + vocab);
  std::vector<float> e(x, x + vocab);
  for (float& v : e) v = Exp(v - max);
  const float log_sum = Log(LaneSum(e.data(), static_cast<long>(vocab)));
  const auto logprob = [&](std::int32_t id) {
    return valid && id >= 0 && id < vocab ? (x[id] - max) - log_sum
                                          : std::numeric_limits<float>::quiet_NaN();
  };
  if (args.targets.data != nullptr) {
    args.target_logprobs.As<float>()[row] = logprob(args.targets.As<std::int32_t>()[row]);
  }
  if (args.top_ids.data == nullptr) return;
  std::vector<std::int32_t> order(static_cast<std::size_t>(vocab));
  std::iota(order.begin(), order.end(), 0);
  if (valid) {
    std::stable_sort(order.begin(), order.end(),
                     [x](std::int32_t a, std::int32_t b) { return x[a] > x[b]; });
  }
  const std::int64_t n = args.top_ids.dim(1);
  for (std::int64_t i = 0; i < n; ++i) {
    const std::int32_t id = valid ? order[static_cast<std::size_t>(i)] : -1;
    args.top_ids.As<std::int32_t>()[row * n + i] = id;
    args.top_logprobs.As<float>()[row * n + i] = logprob(id);
  }
}

}  // namespace

void LogSoftmaxReference(const LogSoftmaxArgs& args) {
  for (std::int64_t row = 0; row < args.logits.dim(0); ++row) Row(args, row);
}

}  // namespace moesaic::kernels
