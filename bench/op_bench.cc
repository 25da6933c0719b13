// Time, bytes and FLOPs of the ops in kernels/, beside what this machine does at best in the same
// run. Usage: op_bench [--simd=avx2] [text that the name of an op must contain]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "bench/machine_limits.h"
#include "kernels/elementwise.h"
#include "kernels/expert_ffn.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "kernels/simd.h"

namespace moesaic::bench {
namespace {

using base::DType;

/// One op at one size. `launch(i)` enqueues it on the i-th of several copies of its data, so that
/// weights come from memory as they do in a model.
struct Case {
  double bytes = 0;  ///< Read and written once each, weights included.
  double flops = 0;
  std::function<absl::Status(std::int64_t i, base::Stream&)> launch;
};

/// Copies of the data are made until they hold this much: several times a last-level cache.
constexpr std::size_t kFootprintBytes = std::size_t{192} << 20;

base::Buffer Allocate(std::size_t bytes) {
  auto buffer = base::Buffer::Allocate(bytes);
  MOESAIC_CHECK(buffer.ok());
  return *std::move(buffer);
}

/// Bits of small numbers: values do not change the time, but not-a-number and subnormals might.
base::Buffer Filled(std::size_t elements, DType dtype) {
  base::Buffer buffer = Allocate(elements * base::DTypeBytes(dtype));
  for (std::size_t i = 0; i < elements; ++i) {
    const float value = static_cast<float>(i % 251) / 251.0f - 0.5f;
    if (dtype == DType::kF32) buffer.As<float>()[i] = value;
    if (dtype == DType::kBF16) buffer.As<std::uint16_t>()[i] = base::F32ToBF16(value);
    if (dtype == DType::kF8E4M3) buffer.As<std::uint8_t>()[i] = base::F32ToF8E4M3(value);
  }
  return buffer;
}

kernels::PackedMatrix Weight(std::int64_t n, std::int64_t k, DType storage) {
  const base::Buffer weight = Filled(n * k, storage);
  const std::int64_t scale_dims[] = {(n + 127) / 128, (k + 127) / 128};
  const base::Buffer scale = Filled(scale_dims[0] * scale_dims[1], DType::kF32);
  kernels::WeightSource source = {.weight = weight.View(storage, {n, k})};
  if (storage == DType::kF8E4M3) source.scale = scale.View(DType::kF32, scale_dims);
  auto packed = kernels::PackedMatrix::Pack({source}, storage);
  MOESAIC_CHECK(packed.ok());
  return *std::move(packed);
}

std::int64_t Copies(std::size_t bytes) {
  return static_cast<std::int64_t>(std::max<std::size_t>(2, kFootprintBytes / bytes));
}

Case LinearCase(std::int64_t m, std::int64_t n, std::int64_t k, DType storage) {
  struct Data {
    std::vector<kernels::PackedMatrix> weights;
    base::Buffer x, y;
  };
  auto data = std::make_shared<Data>();
  do {
    data->weights.push_back(Weight(n, k, storage));
  } while (static_cast<std::int64_t>(data->weights.size()) < Copies(data->weights[0].bytes()));
  data->x = Filled(m * k, DType::kF32);
  data->y = Allocate(m * n * sizeof(float));
  Case c;
  c.bytes = static_cast<double>(data->weights[0].bytes() + (m * k + m * n) * sizeof(float));
  c.flops = 2.0 * static_cast<double>(m * n * k);
  c.launch = [=](std::int64_t i, base::Stream& stream) {
    return kernels::Launch(kernels::LinearArgs{.x = data->x.View(DType::kF32, {m, k}),
                                               .weight = &data->weights[i % data->weights.size()],
                                               .y = data->y.View(DType::kF32, {m, n})},
                           base::TensorView(), stream);
  };
  return c;
}

/// `rows` tokens, each sent to `top_k` of `experts` experts.
Case ExpertFfnCase(std::int64_t rows, int experts, int top_k, std::int64_t hidden,
                   std::int64_t inter, DType storage) {
  struct Data {
    std::vector<kernels::PackedMatrix> gate_up, down;
    std::vector<std::vector<kernels::ExpertEntry>> entries;
    std::vector<kernels::ExpertGroup> groups;
    base::Buffer x, y, workspace;
  };
  auto data = std::make_shared<Data>();
  data->entries.resize(experts);
  for (std::int64_t row = 0; row < rows; ++row) {
    // Strided choice: spreads rows over all experts.
    std::vector<int> chosen;
    for (int i = 0; i < top_k; ++i)
      chosen.push_back(static_cast<int>((row * 5 + i * 11) % experts));
    std::sort(chosen.begin(), chosen.end());
    for (int i = 0; i < top_k; ++i) {
      data->entries[chosen[i]].push_back(
          {static_cast<std::int32_t>(row), static_cast<std::int32_t>(row), 0.1f, i == 0});
    }
  }
  double weight_bytes = 0;
  for (int e = 0; e < experts; ++e) {
    data->gate_up.push_back(Weight(2 * inter, hidden, storage));
    data->down.push_back(Weight(hidden, inter, storage));
    if (data->entries[e].empty()) continue;
    weight_bytes += static_cast<double>(data->gate_up[e].bytes() + data->down[e].bytes());
  }
  for (int e = 0; e < experts; ++e) {
    data->groups.push_back({&data->gate_up[e], &data->down[e], data->entries[e]});
  }
  data->x = Filled(rows * hidden, DType::kF32);
  data->y = Allocate(rows * hidden * sizeof(float));
  data->workspace = Allocate(kernels::ExpertFfnWorkspaceBytes(rows * top_k, inter));
  Case c;
  c.bytes = weight_bytes + static_cast<double>(2 * rows * hidden * sizeof(float));
  c.flops = 6.0 * static_cast<double>(rows * top_k * hidden * inter);
  c.launch = [=](std::int64_t, base::Stream& stream) {
    return kernels::Launch(
        kernels::ExpertFfnArgs{.x = data->x.View(DType::kF32, {rows, hidden}),
                               .groups = data->groups,
                               .y = data->y.View(DType::kF32, {rows, hidden})},
        data->workspace.View(DType::kU8, {static_cast<std::int64_t>(data->workspace.bytes())}),
        stream);
  };
  return c;
}

Case RmsNormCase(std::int64_t rows, std::int64_t n) {
  struct Data {
    base::Buffer x, weight, y;
  };
  auto data = std::make_shared<Data>(
      Data{Filled(rows * n, DType::kF32), Filled(n, DType::kF32), Allocate(rows * n * 4)});
  Case c;
  c.bytes = static_cast<double>(2 * rows * n * sizeof(float));
  c.flops = 4.0 * static_cast<double>(rows * n);
  c.launch = [=](std::int64_t, base::Stream& stream) {
    return kernels::Launch(kernels::RmsNormArgs{.x = data->x.View(DType::kF32, {rows, n}),
                                                .weight = data->weight.View(DType::kF32, {n}),
                                                .y = data->y.View(DType::kF32, {rows, n})},
                           base::TensorView(), stream);
  };
  return c;
}

Case SiluMulCase(std::int64_t rows, std::int64_t n) {
  struct Data {
    base::Buffer x, y;
  };
  auto data =
      std::make_shared<Data>(Data{Filled(rows * n * 2, DType::kF32), Allocate(rows * n * 4)});
  Case c;
  c.bytes = static_cast<double>(3 * rows * n * sizeof(float));
  c.flops = 30.0 * static_cast<double>(rows * n);
  c.launch = [=](std::int64_t, base::Stream& stream) {
    return kernels::Launch(kernels::SiluMulArgs{.gate_up = data->x.View(DType::kF32, {rows, 2 * n}),
                                                .y = data->y.View(DType::kF32, {rows, n})},
                           stream);
  };
  return c;
}

struct NamedCase {
  std::string name;
  std::function<Case()> make;
};

std::vector<NamedCase> AllCases() {
  std::vector<NamedCase> cases;
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kF8E4M3}) {
    const std::string type(base::DTypeName(storage));
    for (const std::int64_t m : {1, 4, 8, 16, 128}) {
      cases.push_back({"linear " + type + " 2048 -> 4096, rows: " + std::to_string(m),
                       [=] { return LinearCase(m, 4096, 2048, storage); }});
    }
    // One layer of the V2-Lite shape: a token, a decode batch, a prefill chunk.
    for (const std::int64_t rows : {1, 16, 128}) {
      cases.push_back({"expert_ffn " + type + " 6 of 64, rows: " + std::to_string(rows),
                       [=] { return ExpertFfnCase(rows, 64, 6, 2048, 1408, storage); }});
    }
  }
  cases.push_back({"rms_norm 64 x 2048", [] { return RmsNormCase(64, 2048); }});
  cases.push_back({"silu_mul 64 x 1408", [] { return SiluMulCase(64, 1408); }});
  return cases;
}

/// Seconds of one launch: the best of many short rounds, since other work on the machine only adds.
double BestSeconds(const Case& c, base::ComputePool& pool) {
  constexpr absl::Duration kBudget = absl::Milliseconds(400);
  // Enough launches a round (about a millisecond) to make the hand-over to the pool small.
  const auto launches =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(1e7 / (c.bytes + c.flops / 16)), 1, 1000);
  double best = std::numeric_limits<double>::infinity();
  base::CpuStream stream(pool);
  const absl::Duration end = base::Clock::Real().Monotonic() + kBudget;
  for (std::int64_t i = 0; base::Clock::Real().Monotonic() < end;) {
    std::binary_semaphore done(0);
    const absl::Duration begin = base::Clock::Real().Monotonic();
    for (std::int64_t launch = 0; launch < launches; ++launch) {
      MOESAIC_CHECK(c.launch(i++, stream).ok());
    }
    stream.OnComplete([&done] { done.release(); });
    done.acquire();
    const absl::Duration took = base::Clock::Real().Monotonic() - begin;
    best = std::min(best, absl::ToDoubleSeconds(took) / static_cast<double>(launches));
  }
  return best;
}

int Main(int argc, char** argv) {
  std::string_view filter;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    constexpr std::string_view kSimd = "--simd=";
    if (arg.substr(0, kSimd.size()) != kSimd) {
      filter = arg;
    } else if (const auto set = kernels::SetMaxSimdTarget(arg.substr(kSimd.size())); !set.ok()) {
      std::fprintf(stderr, "%s\n", set.ToString().c_str());
      return 2;
    }
  }
  base::ComputePool one(1);
  base::ComputePool two(2);
  base::ComputePool* const pools[] = {&one, &two};
  MachineLimits limits[2];
  std::printf("SIMD target: %s\n", kernels::ActiveSimdTarget().c_str());
  for (int p = 0; p < 2; ++p) {
    limits[p] = MeasureMachineLimits(*pools[p]);
    std::printf("limit, %d thread%s: %6.1f GB/s read, %7.1f GFLOP/s f32 FMA\n", p + 1,
                p == 0 ? " " : "s", limits[p].read_bytes_per_s / 1e9, limits[p].flops_per_s / 1e9);
  }
  std::printf("%-38s %3s %9s %9s %10s %8s %6s %9s %6s\n", "op", "thr", "MB", "MFLOP", "us", "GB/s",
              "share", "GFLOP/s", "share");
  for (const NamedCase& named : AllCases()) {
    if (named.name.find(filter) == std::string::npos) continue;
    const Case c = named.make();
    for (int p = 0; p < 2; ++p) {
      const double s = BestSeconds(c, *pools[p]);
      std::printf("%-38s %3d %9.2f %9.1f %10.1f %8.2f %5.0f%% %9.1f %5.0f%%\n", named.name.c_str(),
                  p + 1, c.bytes / 1e6, c.flops / 1e6, s * 1e6, c.bytes / s / 1e9,
                  100 * c.bytes / s / limits[p].read_bytes_per_s, c.flops / s / 1e9,
                  100 * c.flops / s / limits[p].flops_per_s);
      std::fflush(stdout);
    }
  }
  return 0;
}

}  // namespace
}  // namespace moesaic::bench

int main(int argc, char** argv) { return moesaic::bench::Main(argc, argv); }
