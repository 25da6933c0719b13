#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/dtype.h"
#include "base/stream.h"
#include "base/tensor.h"

namespace moesaic::bench {

/// One op at one size. `launch(i)` enqueues it on the i-th of several copies of its data, so that
/// weights come from memory as they do in a model.
struct Case {
  double bytes = 0;  ///< Read and written once each, weights included.
  double flops = 0;
  base::DType storage = base::DType::kF32;  ///< Of the weights.
  std::function<absl::Status(std::int64_t i, base::Stream&)> launch;
  base::TensorView result;  ///< What a launch writes; lives as long as `launch`.
};

struct NamedCase {
  std::string name;
  std::function<Case(base::Device)> make;
  bool on_cuda = true;  ///< Whether there is a kernel for it.
};

/// Copies of the data are made until they hold this much: several times a last-level cache.
inline constexpr std::size_t kFootprintBytes = std::size_t{192} << 20;

base::Buffer Allocate(std::size_t bytes, base::Device device);
/// Bits of small numbers: values do not change the time, but not-a-number and subnormals might.
base::Buffer Filled(std::size_t elements, base::DType dtype, base::Device device);

/// One decode step of a layer's attention.
std::vector<NamedCase> AttentionCases();

}  // namespace moesaic::bench
