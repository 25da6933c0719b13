#include "kernels/int8.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "kernels/workspace_arena.h"

namespace moesaic::kernels {

float QuantizeInt8(const float* x, std::int64_t count, std::int8_t* q) {
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(x[i]) & 0x7FFFFFFFu);
  }
  const float magnitude = std::bit_cast<float>(largest);
  if (!(magnitude >= int8::kSmallest && magnitude <= std::numeric_limits<float>::max())) {
    std::fill_n(q, count, std::int8_t{0});
    return magnitude < int8::kSmallest ? 0.0f : std::numeric_limits<float>::quiet_NaN();
  }
  const float factor = int8::kMax / magnitude;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(x[i] * factor + int8::kRoundMagic);
    q[i] = static_cast<std::int8_t>(bits & 0xFFu);
  }
  return magnitude / int8::kMax;
}

namespace {

struct Layout {
  Layout(void* memory, std::int64_t rows, std::int64_t groups) : arena(memory) {
    values = arena.Take<std::int8_t>(rows * groups * kInt8Group);
    scales = arena.Take<float>(rows * groups);
    offsets = arena.Take<std::int32_t>(rows * groups);
  }
  WorkspaceArena arena;
  std::int8_t* values;
  float* scales;
  std::int32_t* offsets;
};

}  // namespace

Int8Rows::Int8Rows(void* memory, std::int64_t rows, std::int64_t k) : groups(Groups(k)) {
  const Layout layout(memory, rows, groups);
  values = layout.values;
  scales = layout.scales;
  offsets = layout.offsets;
}

std::size_t Int8Rows::Bytes(std::int64_t rows, std::int64_t k) {
  return Layout(nullptr, rows, Groups(k)).arena.bytes();
}

}  // namespace moesaic::kernels
