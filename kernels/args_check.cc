#include "kernels/args_check.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::kernels {
namespace {

std::string ShapeText(const std::int64_t* dims, int rank) {
  std::string text = "[";
  for (int i = 0; i < rank; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ", ");
    if (dims[i] == ArgsCheck::kAny) {
      absl::StrAppend(&text, "any");
    } else {
      absl::StrAppend(&text, dims[i]);
    }
  }
  return text + "]";
}

bool ShapeMatches(const base::TensorView& tensor, std::initializer_list<std::int64_t> dims) {
  if (tensor.rank != static_cast<int>(dims.size())) return false;
  int i = 0;
  for (const std::int64_t dim : dims) {
    const std::int64_t actual = tensor.dim(i++);
    if (actual < 0 || (dim != ArgsCheck::kAny && dim != actual)) return false;
  }
  return true;
}

}  // namespace

void ArgsCheck::Fail(std::string_view name, absl::string_view what) {
  status_ = absl::InvalidArgumentError(
      absl::StrCat(base::ToAbsl(op_), ": ", base::ToAbsl(name), " ", what));
}

ArgsCheck& ArgsCheck::Tensor(std::string_view name, const base::TensorView& tensor,
                             std::initializer_list<base::DType> types,
                             std::initializer_list<std::int64_t> dims) {
  if (!ok()) return *this;
  if (std::find(types.begin(), types.end(), tensor.dtype) == types.end()) {
    Fail(name, absl::StrCat("cannot be ", base::ToAbsl(base::DTypeName(tensor.dtype))));
  } else if (!ShapeMatches(tensor, dims)) {
    Fail(name, absl::StrCat("is ", ShapeText(tensor.shape, tensor.rank), ", not ",
                            ShapeText(dims.begin(), static_cast<int>(dims.size()))));
  } else if (tensor.data == nullptr && tensor.elements() != 0) {
    Fail(name, "has no memory");
  } else {
    On(name, tensor.device);
  }
  return *this;
}

ArgsCheck& ArgsCheck::Stride(std::string_view name, std::int64_t stride, std::int64_t extent) {
  if (ok() && stride != 0 && stride < extent) {
    Fail(name, absl::StrCat("is ", stride, ", less than the ", extent, " it must span"));
  }
  return *this;
}

ArgsCheck& ArgsCheck::On(std::string_view name, base::Device device) {
  if (!ok()) return *this;
  if (!has_device_) {
    has_device_ = true;
    device_ = device;
  } else if (device != device_) {
    Fail(name, "is on another device than the arguments before it");
  }
  return *this;
}

ArgsCheck& ArgsCheck::HostOnlyInt8(std::string_view name, const PackedMatrix& weight) {
  if (ok() && weight.storage() == base::DType::kI8 &&
      weight.device().kind != base::DeviceKind::kCpu) {
    status_ = absl::UnimplementedError(absl::StrCat(base::ToAbsl(op_), ": ", base::ToAbsl(name),
                                                    " is i8, which has a kernel for the CPU only"));
  }
  return *this;
}

ArgsCheck& ArgsCheck::That(bool holds, std::string_view message) {
  if (ok() && !holds) Fail(message, "");
  return *this;
}

absl::Status ArgsCheck::status() const {
#ifdef MOESAIC_HAVE_CUDA
  const bool has_cuda = devices_ == KernelDevices::kCpuAndCuda;
#else
  const bool has_cuda = false;
#endif
  if (ok() && device_.kind == base::DeviceKind::kCuda && !has_cuda) {
    return absl::UnimplementedError(
        absl::StrCat(base::ToAbsl(op_), ": this build has a kernel for the CPU only"));
  }
  return status_;
}

bool IndicesWithin(const base::TensorView& indices, std::int64_t limit) {
  if (indices.device.kind != base::DeviceKind::kCpu) return true;
  const auto* begin = indices.As<const std::int32_t>();
  return std::all_of(begin, begin + indices.elements(),
                     [limit](std::int32_t i) { return i >= 0 && i < limit; });
}

}  // namespace moesaic::kernels
