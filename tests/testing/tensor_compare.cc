#include "tests/testing/tensor_compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "base/dtype.h"
#include "kernels/reference.h"

namespace moesaic::testing {
namespace {

using ::testing::AssertionFailure;
using ::testing::AssertionResult;
using ::testing::AssertionSuccess;

std::string Shape(const base::TensorView& tensor) {
  std::string text = "[";
  for (int i = 0; i < tensor.rank; ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(tensor.dim(i));
  }
  return text + "]";
}

AssertionResult SameShape(const base::TensorView& a, const base::TensorView& b) {
  if (a.rank == b.rank && std::equal(a.shape, a.shape + a.rank, b.shape)) return AssertionSuccess();
  return AssertionFailure() << "shape " << Shape(a) << ", expected " << Shape(b);
}

}  // namespace

AssertionResult BitsEqual(const base::TensorView& actual, const base::TensorView& expected) {
  if (AssertionResult same = SameShape(actual, expected); !same) return same;
  if (actual.dtype != expected.dtype) {
    return AssertionFailure() << "type " << base::DTypeName(actual.dtype) << ", expected "
                              << base::DTypeName(expected.dtype);
  }
  const std::size_t size = base::DTypeBytes(actual.dtype);
  for (std::int64_t i = 0; i < actual.elements(); ++i) {
    const char* a = actual.As<const char>() + i * size;
    const char* e = expected.As<const char>() + i * size;
    if (std::memcmp(a, e, size) == 0) continue;
    AssertionResult failure = AssertionFailure() << "element " << i << " of " << Shape(actual);
    if (actual.dtype == base::DType::kF32 || actual.dtype == base::DType::kBF16) {
      failure << ": " << kernels::reference::Load(actual, i) << ", expected "
              << kernels::reference::Load(expected, i);
    }
    return failure;
  }
  return AssertionSuccess();
}

AssertionResult AllClose(const base::TensorView& actual, const base::TensorView& expected,
                         Tolerance tolerance) {
  if (AssertionResult same = SameShape(actual, expected); !same) return same;
  for (std::int64_t i = 0; i < actual.elements(); ++i) {
    const double a = kernels::reference::Load(actual, i);
    const double e = kernels::reference::Load(expected, i);
    const double limit = tolerance.absolute + tolerance.relative * std::fabs(e);
    // Written so that a comparison with NaN fails.
    if (std::isfinite(a) && std::isfinite(e) && std::fabs(a - e) <= limit) continue;
    return AssertionFailure() << "element " << i << " of " << Shape(actual) << ": " << a
                              << ", expected " << e << " within " << limit;
  }
  return AssertionSuccess();
}

}  // namespace moesaic::testing
