#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/tensor.h"
#include "kernels/packed_matrix.h"

namespace moesaic::kernels {

/// Devices that an op has a kernel for.
enum class KernelDevices { kCpu, kCpuAndCuda };

/// Collects the first thing wrong with an op's arguments; texts are built only then. Short-lived,
/// single-thread.
class ArgsCheck {
 public:
  explicit ArgsCheck(std::string_view op, KernelDevices devices = KernelDevices::kCpu)
      : op_(op), devices_(devices) {}

  /// Matches any extent.
  static constexpr std::int64_t kAny = -1;

  /// `tensor` has one of `types`, the shape `dims`, memory unless empty, and lives where the
  /// tensors checked before it live.
  ArgsCheck& Tensor(std::string_view name, const base::TensorView& tensor,
                    std::initializer_list<base::DType> types,
                    std::initializer_list<std::int64_t> dims);
  /// A stride is 0 (contiguous) or at least `extent`.
  ArgsCheck& Stride(std::string_view name, std::int64_t stride, std::int64_t extent);
  /// `data` lives where the tensors checked before it live.
  ArgsCheck& On(std::string_view name, base::Device device);
  /// i8 weights are on the CPU: no other device has a kernel for them.
  ArgsCheck& HostOnlyInt8(std::string_view name, const PackedMatrix& weight);
  /// `holds`, or InvalidArgument with `message`.
  ArgsCheck& That(bool holds, std::string_view message);

  bool ok() const { return status_.ok(); }
  /// InvalidArgument for the first failed check, Unimplemented when the tensors are on a device
  /// that this build has no kernels for, else OK.
  absl::Status status() const;

 private:
  void Fail(std::string_view name, absl::string_view what);

  std::string_view op_;
  [[maybe_unused]] KernelDevices devices_;  // a build without CUDA has one kind
  absl::Status status_;
  bool has_device_ = false;
  base::Device device_;
};

/// Whether [0, limit) holds every element of an i32 host tensor (true for another device's memory,
/// which the kernel itself must trust).
bool IndicesWithin(const base::TensorView& indices, std::int64_t limit);

}  // namespace moesaic::kernels
