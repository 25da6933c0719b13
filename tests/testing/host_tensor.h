#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/status/status.h"
#include "base/tensor.h"

namespace moesaic::testing {

/// A host tensor that owns its memory. Movable.
class HostTensor {
 public:
  HostTensor() = default;
  /// Zeros.
  HostTensor(base::DType dtype, std::initializer_list<std::int64_t> dims);
  /// Values of a fixed generator seeded with `seed`, uniform in [-scale, scale); fp8: any finite
  /// byte; i32: zeros.
  static HostTensor Random(base::DType dtype, std::initializer_list<std::int64_t> dims,
                           std::uint64_t seed, float scale = 1.0f);

  const base::TensorView& view() const { return view_; }
  operator const base::TensorView&() const { return view_; }  // NOLINT: tests read better
  template <typename T>
  T* As() const {
    return view_.As<T>();
  }

 private:
  base::Buffer memory_;
  base::TensorView view_;
};

}  // namespace moesaic::testing
