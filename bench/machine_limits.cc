#include "bench/machine_limits.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/machine_limits.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Sums n floats, n a multiple of 128, in eight independent vectors: bound by memory.
float StreamRead(const float* x, std::int64_t n) {
  constexpr std::int64_t kVectors = 8;
  VF sum[kVectors];
  for (VF& s : sum) s = hn::Zero(DF());
  for (std::int64_t i = 0; i < n; i += kVectors * kVectorLanes) {
    for (std::int64_t v = 0; v < kVectors; ++v) {
      sum[v] = hn::Add(sum[v], LoadF32(x + i + v * kVectorLanes));
    }
  }
  float total = 0;
  for (const VF& s : sum) total += hn::GetLane(s);
  return total;
}

/// `rounds` times 12 independent fused multiply-adds (enough for a latency of 4 at two a cycle, few
/// enough for 16 registers); answers the FLOPs done.
double FmaChains(std::int64_t rounds, float* sink) {
  const VF factor = hn::Set(DF(), sink[0]);
  VF a0 = factor, a1 = factor, a2 = factor, a3 = factor, a4 = factor, a5 = factor;
  VF b0 = factor, b1 = factor, b2 = factor, b3 = factor, b4 = factor, b5 = factor;
  for (std::int64_t i = 0; i < rounds; ++i) {
    a0 = Fma(a0, factor, factor);
    a1 = Fma(a1, factor, factor);
    a2 = Fma(a2, factor, factor);
    a3 = Fma(a3, factor, factor);
    a4 = Fma(a4, factor, factor);
    a5 = Fma(a5, factor, factor);
    b0 = Fma(b0, factor, factor);
    b1 = Fma(b1, factor, factor);
    b2 = Fma(b2, factor, factor);
    b3 = Fma(b3, factor, factor);
    b4 = Fma(b4, factor, factor);
    b5 = Fma(b5, factor, factor);
  }
  const VF a = hn::Add(hn::Add(a0, a1), hn::Add(hn::Add(a2, a3), hn::Add(a4, a5)));
  const VF b = hn::Add(hn::Add(b0, b1), hn::Add(hn::Add(b2, b3), hn::Add(b4, b5)));
  sink[0] = hn::GetLane(hn::Add(a, b));
  return 2.0 * 12 * static_cast<double>(kVectorLanes) * static_cast<double>(rounds);
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(StreamRead);
HWY_EXPORT(FmaChains);

float RunStreamRead(const float* x, std::int64_t n) {
  return HWY_DYNAMIC_DISPATCH(StreamRead)(x, n);
}
double RunFmaChains(std::int64_t rounds, float* sink) {
  return HWY_DYNAMIC_DISPATCH(FmaChains)(rounds, sink);
}
}  // namespace moesaic::kernels

namespace moesaic::bench {
namespace {

constexpr int kRounds = 7;

double SecondsOf(absl::FunctionRef<void()> work) {
  const absl::Duration begin = base::Clock::Real().Monotonic();
  work();
  return absl::ToDoubleSeconds(base::Clock::Real().Monotonic() - begin);
}

}  // namespace

MachineLimits MeasureMachineLimits(base::ComputePool& pool) {
  constexpr std::int64_t kFloats = std::int64_t{1} << 26;  // 256 MiB
  constexpr std::int64_t kPieces = 64;
  constexpr std::int64_t kFmaRounds = 2'000'000;
  const std::vector<float> memory(kFloats, 1.0f);
  std::vector<float> sinks(pool.threads() * 16, 0.5f);  // a cache line each
  MachineLimits limits;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<float> totals(kPieces);
    const double read_s = SecondsOf([&] {
      pool.ParallelFor(kPieces, [&](std::int64_t i) {
        totals[i] =
            kernels::RunStreamRead(memory.data() + i * (kFloats / kPieces), kFloats / kPieces);
      });
    });
    limits.read_bytes_per_s = std::max(limits.read_bytes_per_s, kFloats * sizeof(float) / read_s);
    std::vector<double> flops(pool.threads());
    const double fma_s = SecondsOf([&] {
      pool.ParallelFor(pool.threads(), [&](std::int64_t i) {
        flops[i] = kernels::RunFmaChains(kFmaRounds, &sinks[i * 16]);
      });
    });
    double total = 0;
    for (const double f : flops) total += f;
    limits.flops_per_s = std::max(limits.flops_per_s, total / fma_s);
  }
  return limits;
}

}  // namespace moesaic::bench
#endif  // HWY_ONCE
