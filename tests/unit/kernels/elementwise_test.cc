#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/dtype.h"
#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"
#include "tests/testing/tensor_compare.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::BitsEqual;
using testing::ForEachTargetAndThreads;
using testing::HostTensor;
using testing::RunOnHost;

/// Rows around one vector, and enough of them for several work items.
struct Shape {
  std::int64_t rows, n;
};
constexpr Shape kShapes[] = {{0, 16}, {1, 1}, {3, 15}, {3, 16}, {5, 17}, {40, 1000}};

/// Compares Launch with the definition on every target; `args.y` of each is set here.
template <class Args>
void ExpectDefinition(Args args, void (*definition)(const Args&), DType y_type, Shape shape) {
  const HostTensor expected(y_type, {shape.rows, shape.n});
  args.y = expected;
  definition(args);
  ForEachTargetAndThreads([&](int threads) {
    const HostTensor y(y_type, {shape.rows, shape.n});
    args.y = y;
    const absl::Status status =
        RunOnHost(threads, [&](base::Stream& stream) { return Launch(args, stream); });
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_TRUE(BitsEqual(y, expected)) << shape.rows << " x " << shape.n;
  });
}

TEST(CastTest, HasTheBitsOfTheDefinition) {
  for (const DType x_type : {DType::kF32, DType::kBF16}) {
    for (const DType y_type : {DType::kF32, DType::kBF16}) {
      for (const Shape& shape : kShapes) {
        const HostTensor x = HostTensor::Random(x_type, {shape.rows, shape.n}, 1);
        ExpectDefinition<CastArgs>({.x = x}, CastReference, y_type, shape);
      }
    }
  }
}

TEST(AddTest, HasTheBitsOfTheDefinition) {
  for (const Shape& shape : kShapes) {
    const HostTensor a = HostTensor::Random(DType::kF32, {shape.rows, shape.n}, 1);
    const HostTensor b = HostTensor::Random(DType::kF32, {shape.rows, shape.n}, 2);
    ExpectDefinition<AddArgs>({.a = a, .b = b}, AddReference, DType::kF32, shape);
  }
}

TEST(SiluMulTest, HasTheBitsOfTheDefinition) {
  for (const DType y_type : {DType::kF32, DType::kBF16}) {
    for (const Shape& shape : kShapes) {
      const HostTensor x = HostTensor::Random(DType::kF32, {shape.rows, 2 * shape.n}, 1, 10.0f);
      ExpectDefinition<SiluMulArgs>({.gate_up = x}, SiluMulReference, y_type, shape);
    }
  }
}

TEST(ClipTest, HasTheBitsOfTheDefinition) {
  for (const Shape& shape : kShapes) {
    const HostTensor x = HostTensor::Random(DType::kF32, {shape.rows, shape.n}, 1);
    ExpectDefinition<ClipArgs>({.x = x, .limit = 0.5f}, ClipReference, DType::kF32, shape);
  }
}

TEST(EmbeddingTest, HasTheBitsOfTheDefinitionFromUnalignedTables) {
  for (const DType type : {DType::kF32, DType::kBF16, DType::kF16}) {
    for (const Shape& shape : kShapes) {
      const HostTensor table = HostTensor::Random(type, {11, shape.n}, 1);
      std::vector<char> shifted(table.view().bytes() + 1);
      std::memcpy(shifted.data() + 1, table.view().data, table.view().bytes());
      const HostTensor ids(DType::kI32, {shape.rows});
      for (std::int64_t i = 0; i < shape.rows; ++i) ids.As<std::int32_t>()[i] = (i * 7) % 11;
      const base::TensorView unaligned(shifted.data() + 1, type, {11, shape.n});
      ExpectDefinition<EmbeddingArgs>({.table = unaligned, .ids = ids}, EmbeddingReference,
                                      DType::kF32, shape);
    }
  }
}

TEST(EmbeddingTest, RefusesAnIdOutsideTheVocabulary) {
  const HostTensor table(DType::kF32, {11, 4});
  const HostTensor ids(DType::kI32, {1});
  const HostTensor y(DType::kF32, {1, 4});
  ids.As<std::int32_t>()[0] = 11;
  EXPECT_FALSE(CanRun(EmbeddingArgs{.table = table, .ids = ids, .y = y}).ok());
}

/// Tokens with 0, 1, 2, … slots.
HostTensor TriangularOffsets(std::int64_t tokens) {
  HostTensor offsets(DType::kI32, {tokens + 1});
  for (std::int64_t t = 0; t < tokens; ++t) {
    offsets.As<std::int32_t>()[t + 1] =
        offsets.As<std::int32_t>()[t] + static_cast<std::int32_t>(t % 4);
  }
  return offsets;
}

TEST(CombineTest, HasTheBitsOfTheDefinition) {
  for (const Shape& shape : kShapes) {
    const HostTensor residual = HostTensor::Random(DType::kF32, {shape.rows, shape.n}, 1);
    const HostTensor shared = HostTensor::Random(DType::kF32, {shape.rows, shape.n}, 2);
    const HostTensor offsets = TriangularOffsets(shape.rows);
    const HostTensor slots =
        HostTensor::Random(DType::kF32, {offsets.As<std::int32_t>()[shape.rows], shape.n}, 3);
    CombineArgs args = {.residual = residual, .slots = slots, .slot_offsets = offsets};
    ExpectDefinition(args, CombineReference, DType::kF32, shape);
    args.shared = shared;
    ExpectDefinition(args, CombineReference, DType::kF32, shape);
  }
}

TEST(CombineTest, AddsSharedThenSlotsInOrder) {
  // Values whose sum depends on the order: 1 disappears beside 2^25.
  const float residual = 1.0f, shared = 1.0f, slots[] = {0x1p25f, -0x1p25f};
  const std::int32_t offsets[] = {0, 2};
  float y = 0;
  const auto view = [](const float* p, std::int64_t rows) {
    return base::TensorView::Host(p, {rows, 1});
  };
  CombineReference({.residual = view(&residual, 1),
                    .shared = view(&shared, 1),
                    .slots = view(slots, 2),
                    .slot_offsets = base::TensorView::Host(offsets, {2}),
                    .y = view(&y, 1)});
  EXPECT_EQ(y, ((1.0f + 1.0f) + 0x1p25f) + -0x1p25f);
}

TEST(CombineTest, RefusesOffsetsOutsideTheSlots) {
  const HostTensor residual(DType::kF32, {2, 4});
  const HostTensor slots(DType::kF32, {3, 4});
  const HostTensor offsets(DType::kI32, {3});
  const CombineArgs args = {
      .residual = residual, .slots = slots, .slot_offsets = offsets, .y = residual};
  const auto with = [&](std::int32_t a, std::int32_t b, std::int32_t c) {
    offsets.As<std::int32_t>()[0] = a;
    offsets.As<std::int32_t>()[1] = b;
    offsets.As<std::int32_t>()[2] = c;
    return CanRun(args).ok();
  };
  EXPECT_TRUE(with(0, 1, 3));
  EXPECT_FALSE(with(0, 1, 4));
  EXPECT_FALSE(with(0, 3, 2));
  EXPECT_FALSE(with(-1, 1, 3));
}

TEST(ElementwiseTest, RefusesWhatDoesNotFit) {
  const HostTensor a(DType::kF32, {2, 4});
  const HostTensor b(DType::kF32, {4, 2});
  const HostTensor half(DType::kF16, {2, 4});
  EXPECT_FALSE(CanRun(CastArgs{.x = a, .y = b}).ok());
  EXPECT_FALSE(CanRun(CastArgs{.x = half, .y = a}).ok());
  EXPECT_FALSE(CanRun(AddArgs{.a = a, .b = b, .y = a}).ok());
  EXPECT_FALSE(CanRun(SiluMulArgs{.gate_up = a, .y = a}).ok());
  EXPECT_FALSE(CanRun(ClipArgs{.x = a, .y = a, .limit = 0}).ok());
}

}  // namespace
}  // namespace moesaic::kernels
