#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "absl/types/span.h"
#include "kernels/backends.h"
#include "kernels/row_scan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/log_softmax_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// max x and Log(16-lane sum of Exp(x - max)).
void MaxAndLogSum(const float* x, std::int64_t n, float* max, float* log_sum) {
  *max = LaneMax(x, n, -HUGE_VALF);
  const VF shift = hn::Set(DF(), *max);
  const std::int64_t whole = WholeRounds(n);
  HWY_ALIGN float tail[kLanes16];  // filled up with what adds 0
  std::fill(tail, tail + kLanes16, -HUGE_VALF);
  std::copy(x + whole, x + n, tail);
  HWY_ALIGN float lanes[kLanes16];
  for (std::size_t lane = 0; lane < kLanes16; lane += kVectorLanes) {
    VF sum = hn::Zero(DF());
    for (std::int64_t i = 0; i < whole; i += kLanes16) {
      sum = hn::Add(sum, Exp(hn::Sub(LoadF32(x + i + lane), shift)));
    }
    StoreF32(hn::Add(sum, Exp(hn::Sub(LoadF32(tail + lane), shift))), lanes + lane);
  }
  *log_sum = hn::GetLane(Log(hn::Set(DF(), TreeSum(lanes))));
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(MaxAndLogSum);

namespace {

void RunRow(const LogSoftmaxArgs& args, std::int64_t row) {
  const auto vocab = static_cast<std::size_t>(args.logits.dim(1));
  const absl::Span<const float> x(args.logits.As<float>() + row * args.logits.dim(1), vocab);
  const bool valid = AllFinite(x);
  args.invalid.As<std::uint8_t>()[row] = valid ? 0 : 1;
  float max = 0;
  float log_sum = 0;
  if (valid) HWY_DYNAMIC_DISPATCH(MaxAndLogSum)(x.data(), args.logits.dim(1), &max, &log_sum);
  const auto logprob = [&](std::int32_t id) {
    const bool wanted = valid && id >= 0 && static_cast<std::size_t>(id) < vocab;
    return wanted ? (x[static_cast<std::size_t>(id)] - max) - log_sum
                  : std::numeric_limits<float>::quiet_NaN();
  };
  if (args.targets.data != nullptr) {
    args.target_logprobs.As<float>()[row] = logprob(args.targets.As<std::int32_t>()[row]);
  }
  if (args.top_ids.data == nullptr) return;
  const std::int64_t n = args.top_ids.dim(1);
  const absl::Span<std::int32_t> ids(args.top_ids.As<std::int32_t>() + row * n,
                                     static_cast<std::size_t>(n));
  std::fill(ids.begin(), ids.end(), -1);
  if (valid) TopN(x, ids);
  std::transform(ids.begin(), ids.end(), args.top_logprobs.As<float>() + row * n, logprob);
}

}  // namespace

void cpu::Run(const LogSoftmaxArgs& args, base::ComputePool& pool) {
  pool.ParallelFor(args.logits.dim(0), [&](std::int64_t row) { RunRow(args, row); });
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
