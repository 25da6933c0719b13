#include "bench/machine_limits.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/tensor.h"
#include "bench/dot_limits.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/machine_limits.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/linear-inl.h"
#include "kernels/simd_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Floats ahead of use at which memory is prefetched.
inline constexpr std::int64_t kPrefetchFloats = 1024;

/// Sums n floats, n a multiple of 128, in eight independent vectors: bound by memory.
float StreamRead(const float* x, std::int64_t n) {
  constexpr std::int64_t kVectors = 8;
  VF sum[kVectors];
  for (VF& s : sum) s = hn::Zero(DF());
  for (std::int64_t i = 0; i < n; i += kVectors * kVectorLanes) {
    MOESAIC_UNROLL for (int v = 0; v < kVectors; ++v) {
      PrefetchWeights(x + i + v * kVectorLanes + kPrefetchFloats);
      sum[v] = hn::Add(sum[v], LoadF32(x + i + v * kVectorLanes));
    }
  }
  float total = 0;
  for (const VF& s : sum) total += hn::GetLane(s);
  return total;
}

/// `rounds` times 12 independent fused multiply-adds (enough for a latency of 4 at two a cycle, few
/// enough for 16 registers); answers the FLOPs done. `values`: 16 numbers that differ, or the
/// compiler would merge the chains.
double FmaChains(std::int64_t rounds, float* values) {
  constexpr int kChains = 12;
  const VF factor = hn::Set(DF(), values[kChains]);
  VF sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = hn::Set(DF(), values[i]);
  for (std::int64_t round = 0; round < rounds; ++round) {
    MOESAIC_UNROLL for (int i = 0; i < kChains; ++i) sum[i] = Fma(sum[i], factor, factor);
  }
  for (int i = 0; i < kChains; ++i) values[i] = hn::GetLane(sum[i]);
  return 2.0 * kChains * static_cast<double>(kVectorLanes) * static_cast<double>(rounds);
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
double RunFmaChains(std::int64_t rounds, float* values) {
  return HWY_DYNAMIC_DISPATCH(FmaChains)(rounds, values);
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

/// Operations a second of chains(rounds, values) on every thread of the pool.
double OperationsPerSecond(base::ComputePool& pool, double (*chains)(std::int64_t, float*)) {
  constexpr std::int64_t kChainRounds = 2'000'000;
  std::vector<float> values(pool.threads() * 16);  // a cache line each
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 0.5f / static_cast<float>(i + 2);
  std::vector<double> operations(pool.threads());
  const double seconds = SecondsOf([&] {
    pool.ParallelFor(pool.threads(), [&](std::int64_t i) {
      operations[i] = chains(kChainRounds, &values[i * 16]);
    });
  });
  return std::accumulate(operations.begin(), operations.end(), 0.0) / seconds;
}

}  // namespace

MachineLimits MeasureMachineLimits(base::ComputePool& pool) {
  constexpr std::int64_t kFloats = std::int64_t{1} << 26;  // 256 MiB
  constexpr std::int64_t kPieces = 64;
  // As weights lie in memory: in huge pages where the machine has them.
  auto allocated = base::Buffer::Allocate(kFloats * sizeof(float));
  MOESAIC_CHECK(allocated.ok());
  const float* const memory = allocated->As<float>();
  std::fill_n(allocated->As<float>(), kFloats, 1.0f);
  MachineLimits limits;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<float> totals(kPieces);
    const double read_s = SecondsOf([&] {
      pool.ParallelFor(kPieces, [&](std::int64_t i) {
        totals[i] = kernels::RunStreamRead(memory + i * (kFloats / kPieces), kFloats / kPieces);
      });
    });
    limits.read_bytes_per_s = std::max(limits.read_bytes_per_s, kFloats * sizeof(float) / read_s);
    const auto raise = [&pool](double& limit, double (*chains)(std::int64_t, float*)) {
      limit = std::max(limit, OperationsPerSecond(pool, chains));
    };
    raise(limits.flops_per_s, &kernels::RunFmaChains);
    raise(limits.bf16_flops_per_s, &RunBf16Chains);
    raise(limits.int8_ops_per_s, &RunVnniChains);
  }
  return limits;
}

}  // namespace moesaic::bench
#endif  // HWY_ONCE
