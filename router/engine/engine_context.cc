#include "router/engine/engine_context.h"

namespace moesaic::router {

base::TensorView Columns(const base::TensorView& tensor, std::int64_t first,
                         std::initializer_list<std::int64_t> dims) {
  std::vector<std::int64_t> shape = {tensor.dim(0)};
  shape.insert(shape.end(), dims);
  auto* data = static_cast<std::byte*>(tensor.data) + first * DTypeBytes(tensor.dtype);
  return base::TensorView(data, tensor.dtype, shape, tensor.device);
}

base::TensorView SplitColumns(const base::TensorView& tensor, std::int64_t a, std::int64_t b) {
  return base::TensorView(tensor.data, tensor.dtype, {tensor.dim(0), a, b}, tensor.device);
}

base::TensorView HostVector(const std::vector<std::int32_t>& values) {
  return base::TensorView::Host(values.data(), {static_cast<std::int64_t>(values.size())});
}

}  // namespace moesaic::router
