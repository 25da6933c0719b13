#pragma once

#include <gtest/gtest.h>

#include "base/tensor.h"

namespace moesaic::testing {

/// Same type, shape and bits of every element; names the first that differs. Host memory.
::testing::AssertionResult BitsEqual(const base::TensorView& actual,
                                     const base::TensorView& expected);

/// How far an element may be from its expectation: absolute + relative * |expected|.
struct Tolerance {
  double absolute = 0;
  double relative = 0;
};

/// Same shape, every element of both finite and |actual - expected| within the tolerance. f32 and
/// bf16, host memory. Not-a-number and infinities always fail, also where both have them.
::testing::AssertionResult AllClose(const base::TensorView& actual,
                                    const base::TensorView& expected, Tolerance tolerance);

}  // namespace moesaic::testing
