// Time, bytes and FLOPs of the ops in kernels/, beside what this machine does at best in the same
// run. Usage: op_bench [--simd=avx2] [--device=cuda] [text that the name of an op must contain]
// On a CUDA device each result is also compared, bit for bit, with the host's.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <semaphore>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/device_memory.h"
#include "base/dtype.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "bench/machine_limits.h"
#include "bench/op_case.h"
#include "kernels/cuda_stream.h"
#include "kernels/elementwise.h"
#include "kernels/expert_ffn.h"
#include "kernels/linear.h"
#include "kernels/rms_norm.h"
#include "kernels/simd.h"

namespace moesaic::bench {
namespace {

using base::DType;

kernels::PackedMatrix Weight(std::int64_t n, std::int64_t k, DType storage, base::Device device) {
  const DType source_type = storage == DType::kI8 ? DType::kBF16 : storage;
  const base::Buffer weight = Filled(n * k, source_type, {});
  const std::int64_t scale_dims[] = {(n + 127) / 128, (k + 127) / 128};
  const base::Buffer scale = Filled(scale_dims[0] * scale_dims[1], DType::kF32, {});
  kernels::WeightSource source = {.weight = weight.View(source_type, {n, k})};
  if (storage == DType::kF8E4M3) source.scale = scale.View(DType::kF32, scale_dims);
  auto packed = kernels::PackedMatrix::Pack({source}, storage, device);
  MOESAIC_CHECK(packed.ok());
  return *std::move(packed);
}

std::int64_t Copies(std::size_t bytes) {
  return static_cast<std::int64_t>(std::max<std::size_t>(2, kFootprintBytes / bytes));
}

/// Activations as a router or shard has them beside such weights.
DType ActivationType(DType storage) { return storage == DType::kF32 ? DType::kF32 : DType::kBF16; }

Case LinearCase(std::int64_t m, std::int64_t n, std::int64_t k, DType storage,
                base::Device device) {
  struct Data {
    std::vector<kernels::PackedMatrix> weights;
    base::Buffer x, y, workspace;
  };
  auto data = std::make_shared<Data>();
  do {
    data->weights.push_back(Weight(n, k, storage, device));
  } while (static_cast<std::int64_t>(data->weights.size()) < Copies(data->weights[0].bytes()));
  const DType x_type = ActivationType(storage);
  data->x = Filled(m * k, x_type, device);
  data->y = Allocate(m * n * sizeof(float), device);
  data->workspace = Allocate(kernels::LinearWorkspaceBytes(data->weights[0], m), device);
  Case c;
  c.storage = storage;
  c.bytes = static_cast<double>(data->weights[0].bytes() + m * k * base::DTypeBytes(x_type) +
                                m * n * sizeof(float));
  c.flops = 2.0 * static_cast<double>(m * n * k);
  c.result = data->y.View(DType::kF32, {m, n});
  c.launch = [=](std::int64_t i, base::Stream& stream) {
    return kernels::Launch(
        kernels::LinearArgs{.x = data->x.View(x_type, {m, k}),
                            .weight = &data->weights[i % data->weights.size()],
                            .y = data->y.View(DType::kF32, {m, n})},
        data->workspace.View(DType::kU8, {static_cast<std::int64_t>(data->workspace.bytes())}),
        stream);
  };
  return c;
}

/// `rows` tokens, each sent to `top_k` of `experts` experts.
Case ExpertFfnCase(std::int64_t rows, int experts, int top_k, std::int64_t hidden,
                   std::int64_t inter, DType storage, base::Device device) {
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
    data->gate_up.push_back(Weight(2 * inter, hidden, storage, device));
    data->down.push_back(Weight(hidden, inter, storage, device));
    if (data->entries[e].empty()) continue;
    weight_bytes += static_cast<double>(data->gate_up[e].bytes() + data->down[e].bytes());
  }
  for (int e = 0; e < experts; ++e) {
    data->groups.push_back({&data->gate_up[e], &data->down[e], data->entries[e]});
  }
  const DType x_type = ActivationType(storage);
  data->x = Filled(rows * hidden, x_type, device);
  data->y = Allocate(rows * hidden * sizeof(float), device);
  data->workspace =
      Allocate(kernels::ExpertFfnWorkspaceBytes(rows, hidden, rows * top_k, inter), device);
  Case c;
  c.storage = storage;
  c.bytes = weight_bytes +
            static_cast<double>(rows * hidden * (base::DTypeBytes(x_type) + sizeof(float)));
  c.flops = 6.0 * static_cast<double>(rows * top_k * hidden * inter);
  c.result = data->y.View(DType::kF32, {rows, hidden});
  c.launch = [=](std::int64_t, base::Stream& stream) {
    return kernels::Launch(
        kernels::ExpertFfnArgs{.x = data->x.View(x_type, {rows, hidden}),
                               .groups = data->groups,
                               .y = data->y.View(DType::kF32, {rows, hidden})},
        data->workspace.View(DType::kU8, {static_cast<std::int64_t>(data->workspace.bytes())}),
        stream);
  };
  return c;
}

Case RmsNormCase(std::int64_t rows, std::int64_t n, base::Device device) {
  struct Data {
    base::Buffer x, weight, y;
  };
  auto data =
      std::make_shared<Data>(Data{Filled(rows * n, DType::kF32, device),
                                  Filled(n, DType::kF32, device), Allocate(rows * n * 4, device)});
  Case c;
  c.bytes = static_cast<double>(2 * rows * n * sizeof(float));
  c.flops = 4.0 * static_cast<double>(rows * n);
  c.result = data->y.View(DType::kF32, {rows, n});
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
  auto data = std::make_shared<Data>(
      Data{Filled(rows * n * 2, DType::kF32, {}), Allocate(rows * n * 4, {})});
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

std::vector<NamedCase> AllCases() {
  std::vector<NamedCase> cases;
  for (const DType storage : {DType::kF32, DType::kBF16, DType::kF8E4M3, DType::kI8}) {
    const std::string type(base::DTypeName(storage));
    for (const std::int64_t m : {1, 4, 8, 16, 128}) {
      cases.push_back(
          {"linear " + type + " 2048 -> 4096, rows: " + std::to_string(m),
           [=](base::Device device) { return LinearCase(m, 4096, 2048, storage, device); },
           storage != DType::kI8});
    }
    // One layer of the V2-Lite shape: a token, a decode batch, a prefill chunk.
    for (const std::int64_t rows : {1, 16, 128}) {
      cases.push_back({"expert_ffn " + type + " 6 of 64, rows: " + std::to_string(rows),
                       [=](base::Device device) {
                         return ExpertFfnCase(rows, 64, 6, 2048, 1408, storage, device);
                       },
                       storage != DType::kI8});
    }
  }
  cases.push_back(
      {"rms_norm 64 x 2048", [](base::Device device) { return RmsNormCase(64, 2048, device); }});
  cases.push_back(
      {"silu_mul 64 x 1408", [](base::Device) { return SiluMulCase(64, 1408); }, false});
  for (NamedCase& named : AttentionCases()) cases.push_back(std::move(named));
  return cases;
}

/// Returns once the stream has run dry.
void Wait(base::Stream& stream) {
  std::binary_semaphore done(0);
  stream.OnComplete([&done] { done.release(); });
  done.acquire();
}

/// Seconds of one launch: the best of many short rounds, since other work on the machine only adds.
/// `limits`: of the device; enough launches a round (about two milliseconds) are made to make the
/// hand-over to it small.
double BestSeconds(const Case& c, base::Stream& stream, const MachineLimits& limits) {
  constexpr absl::Duration kBudget = absl::Milliseconds(400);
  const double least_s = c.bytes / limits.read_bytes_per_s + c.flops / limits.flops_per_s;
  const auto launches =
      std::clamp<std::int64_t>(static_cast<std::int64_t>(2e-3 / least_s), 1, 1000);
  double best = std::numeric_limits<double>::infinity();
  const absl::Duration end = base::Clock::Real().Monotonic() + kBudget;
  for (std::int64_t i = 0; base::Clock::Real().Monotonic() < end;) {
    const absl::Duration begin = base::Clock::Real().Monotonic();
    for (std::int64_t launch = 0; launch < launches; ++launch) {
      MOESAIC_CHECK(c.launch(i++, stream).ok());
    }
    Wait(stream);
    const absl::Duration took = base::Clock::Real().Monotonic() - begin;
    best = std::min(best, absl::ToDoubleSeconds(took) / static_cast<double>(launches));
  }
  return best;
}

/// The limit that the case's arithmetic is measured by.
double ArithmeticLimit(const Case& c, const MachineLimits& limits) {
  const double dots = c.storage == DType::kF32  ? 0
                      : c.storage == DType::kI8 ? limits.int8_ops_per_s
                                                : limits.bf16_flops_per_s;
  return dots > 0 ? dots : limits.flops_per_s;
}

void PrintLimits(const MachineLimits& limits, const std::string& where) {
  std::printf("limit, %s: %6.1f GB/s read, %7.1f GFLOP/s f32, %7.1f bf16, %7.1f int8\n",
              where.c_str(), limits.read_bytes_per_s / 1e9, limits.flops_per_s / 1e9,
              limits.bf16_flops_per_s / 1e9, limits.int8_ops_per_s / 1e9);
}

void PrintHeader() {
  std::printf("%-38s %4s %9s %9s %10s %8s %6s %9s %6s\n", "op", "on", "MB", "MFLOP", "us", "GB/s",
              "share", "GFLOP/s", "share");
}

void PrintRow(const std::string& name, const std::string& where, const Case& c, double s,
              const MachineLimits& limits, const char* note) {
  std::printf("%-38s %4s %9.2f %9.1f %10.1f %8.2f %5.0f%% %9.1f %5.0f%%%s\n", name.c_str(),
              where.c_str(), c.bytes / 1e6, c.flops / 1e6, s * 1e6, c.bytes / s / 1e9,
              100 * c.bytes / s / limits.read_bytes_per_s, c.flops / s / 1e9,
              100 * c.flops / s / ArithmeticLimit(c, limits), note);
  std::fflush(stdout);
}

void BenchHost(std::string_view filter) {
  base::ComputePool one(1);
  base::ComputePool two(2);
  base::ComputePool* const pools[] = {&one, &two};
  MachineLimits limits[2];
  std::printf("SIMD target: %s\n", kernels::ActiveSimdTarget().c_str());
  for (int p = 0; p < 2; ++p) {
    limits[p] = MeasureMachineLimits(*pools[p]);
    PrintLimits(limits[p], p == 0 ? "1 thread " : "2 threads");
  }
  PrintHeader();
  for (const NamedCase& named : AllCases()) {
    if (named.name.find(filter) == std::string::npos) continue;
    const Case c = named.make({});
    for (int p = 0; p < 2; ++p) {
      base::CpuStream stream(*pools[p]);
      const double s = BestSeconds(c, stream, limits[p]);
      PrintRow(named.name, std::to_string(p + 1), c, s, limits[p], "");
    }
  }
}

/// Whether the host's launch 0 of the same case writes the bits that the device's wrote.
bool SameBits(const NamedCase& named, const Case& on_device, base::ComputePool& pool,
              base::Stream& stream) {
  const Case on_host = named.make({});
  base::CpuStream host_stream(pool);
  MOESAIC_CHECK(on_host.launch(0, host_stream).ok() && on_device.launch(0, stream).ok());
  Wait(host_stream);
  Wait(stream);
  const base::TensorView& result = on_device.result;
  std::vector<char> copy(result.bytes());
  MOESAIC_CHECK(base::CudaMemory()
                    ->CopyToHost(copy.data(), result.data, copy.size(), result.device.index)
                    .ok());
  return std::memcmp(copy.data(), on_host.result.data, copy.size()) == 0;
}

/// Answers whether every op had the host's bits.
bool BenchCuda(std::string_view filter) {
  auto stream = kernels::CudaStream::Create(0);
  if (!stream.ok()) {
    std::fprintf(stderr, "%s\n", stream.status().ToString().c_str());
    return false;
  }
  const MachineLimits limits = MeasureCudaLimits(0);
  PrintLimits(limits, CudaDeviceName(0));
  PrintHeader();
  base::ComputePool pool(static_cast<int>(std::thread::hardware_concurrency()));
  bool all_same = true;
  for (const NamedCase& named : AllCases()) {
    if (!named.on_cuda || named.name.find(filter) == std::string::npos) continue;
    const Case c = named.make((*stream)->device());
    const double s = BestSeconds(c, **stream, limits);
    const bool same = SameBits(named, c, pool, **stream);
    all_same = all_same && same;
    PrintRow(named.name, "cuda", c, s, limits, same ? "  bits equal" : "  BITS DIFFER");
  }
  return all_same;
}

int Main(int argc, char** argv) {
  std::string_view filter;
  bool cuda = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    constexpr std::string_view kSimd = "--simd=";
    if (arg == "--device=cuda") {
      cuda = true;
    } else if (arg.substr(0, kSimd.size()) != kSimd) {
      filter = arg;
    } else if (const auto set = kernels::SetMaxSimdTarget(arg.substr(kSimd.size())); !set.ok()) {
      std::fprintf(stderr, "%s\n", set.ToString().c_str());
      return 2;
    }
  }
  if (cuda) return BenchCuda(filter) ? 0 : 1;
  BenchHost(filter);
  return 0;
}

}  // namespace
}  // namespace moesaic::bench

int main(int argc, char** argv) { return moesaic::bench::Main(argc, argv); }
