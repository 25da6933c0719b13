#include "router/engine/engine_context.h"

#include <algorithm>
#include <array>

#include "absl/types/span.h"
#include "base/check.h"

namespace moesaic::router {

base::TensorView Columns(const base::TensorView& tensor, std::int64_t first,
                         std::initializer_list<std::int64_t> dims) {
  std::array<std::int64_t, base::TensorView::kMaxRank> shape = {tensor.dim(0)};
  MOESAIC_CHECK(dims.size() < shape.size());
  std::copy(dims.begin(), dims.end(), shape.begin() + 1);
  auto* data = static_cast<std::byte*>(tensor.data) + first * DTypeBytes(tensor.dtype);
  return base::TensorView(data, tensor.dtype, absl::MakeConstSpan(shape.data(), dims.size() + 1),
                          tensor.device);
}

base::TensorView SplitColumns(const base::TensorView& tensor, std::int64_t a, std::int64_t b) {
  return base::TensorView(tensor.data, tensor.dtype, {tensor.dim(0), a, b}, tensor.device);
}

base::TensorView HostVector(const std::vector<std::int32_t>& values) {
  return base::TensorView::Host(values.data(), {static_cast<std::int64_t>(values.size())});
}

}  // namespace moesaic::router
