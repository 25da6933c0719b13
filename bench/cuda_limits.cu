#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdint>

#include "base/check.h"
#include "bench/machine_limits.h"

namespace moesaic::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kRounds = 7;

/// Adds up n float4, four of them in flight a thread: bound by memory.
__global__ void StreamReadKernel(const float4* x, std::int64_t n, float* sink) {
  constexpr int kInFlight = 4;
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  float sum = 0.0f;
  std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (; i + (kInFlight - 1) * stride < n; i += kInFlight * stride) {
    float4 v[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) v[j] = x[i + j * stride];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) sum += v[j].x + v[j].y + v[j].z + v[j].w;
  }
  if (sum == 1.0f) *sink = sum;  // never, but the compiler does not know
}

constexpr int kFmaRounds = 4096;
constexpr int kChains = 8;

__global__ void FmaKernel(float factor, float* sink) {
  float sum[kChains];
#pragma unroll
  for (int i = 0; i < kChains; ++i) sum[i] = static_cast<float>(threadIdx.x + i);
  for (int round = 0; round < kFmaRounds; ++round) {
#pragma unroll
    for (int i = 0; i < kChains; ++i) sum[i] = __fmaf_rn(sum[i], factor, factor);
  }
  float total = 0.0f;
#pragma unroll
  for (int i = 0; i < kChains; ++i) total += sum[i];
  if (total == 1.0f) *sink = total;
}

/// The best seconds of a launch, by events of the device.
template <class Launch>
double BestSeconds(cudaStream_t stream, Launch launch) {
  cudaEvent_t begin, end;
  MOESAIC_CHECK(cudaEventCreate(&begin) == cudaSuccess && cudaEventCreate(&end) == cudaSuccess);
  float best_ms = 1e30f;
  for (int round = 0; round < kRounds; ++round) {
    cudaEventRecord(begin, stream);
    launch();
    cudaEventRecord(end, stream);
    MOESAIC_CHECK(cudaEventSynchronize(end) == cudaSuccess && cudaGetLastError() == cudaSuccess);
    float ms = 0;
    MOESAIC_CHECK(cudaEventElapsedTime(&ms, begin, end) == cudaSuccess);
    best_ms = std::min(best_ms, ms);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best_ms / 1e3;
}

}  // namespace

MachineLimits MeasureCudaLimits(int device_index) {
  constexpr std::size_t kBytes = std::size_t{2} << 30;
  cudaDeviceProp properties;
  MOESAIC_CHECK(cudaSetDevice(device_index) == cudaSuccess &&
                cudaGetDeviceProperties(&properties, device_index) == cudaSuccess);
  const int blocks =
      properties.multiProcessorCount * (properties.maxThreadsPerMultiProcessor / kThreads);
  void* memory = nullptr;
  void* sink = nullptr;
  cudaStream_t stream;
  MOESAIC_CHECK(cudaMalloc(&memory, kBytes) == cudaSuccess &&
                cudaMalloc(&sink, sizeof(float)) == cudaSuccess &&
                cudaMemset(memory, 0, kBytes) == cudaSuccess &&
                cudaStreamCreate(&stream) == cudaSuccess);
  const double read_s = BestSeconds(stream, [&] {
    StreamReadKernel<<<blocks, kThreads, 0, stream>>>(
        static_cast<const float4*>(memory), kBytes / sizeof(float4), static_cast<float*>(sink));
  });
  const double fma_s = BestSeconds(stream, [&] {
    FmaKernel<<<blocks * 4, kThreads, 0, stream>>>(0.5f, static_cast<float*>(sink));
  });
  cudaStreamDestroy(stream);
  cudaFree(sink);
  cudaFree(memory);
  return {.read_bytes_per_s = kBytes / read_s,
          .flops_per_s = 2.0 * kChains * kFmaRounds * kThreads * blocks * 4 / fma_s};
}

std::string CudaDeviceName(int device_index) {
  cudaDeviceProp properties;
  return cudaGetDeviceProperties(&properties, device_index) == cudaSuccess ? properties.name : "";
}

}  // namespace moesaic::bench
