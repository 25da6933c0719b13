#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/expert_ffn.h"
#include "kernels/int8.h"

/// Workspace of the expert FFN, the same on every device.
namespace moesaic::kernels {

/// A group that has entries, and where they begin among all entries.
struct ActiveGroup {
  const ExpertGroup* group;
  std::int64_t first_entry;
};

/// Byte offsets into the workspace. Regions start at multiples of 64.
struct ExpertFfnLayout {
  ExpertFfnLayout(std::int64_t rows, std::int64_t hidden, std::int64_t entries,
                  std::int64_t inter) {
    const auto take = [this](std::int64_t size) {
      const std::size_t offset = bytes;
      bytes += (static_cast<std::size_t>(size) + 63) / 64 * 64;
      return offset;
    };
    active = take(entries * static_cast<std::int64_t>(sizeof(ActiveGroup)));
    gate_up = take(entries * 2 * inter * static_cast<std::int64_t>(sizeof(float)));
    h = take(entries * inter * static_cast<std::int64_t>(sizeof(float)));
    int8_x = take(static_cast<std::int64_t>(Int8Rows::Bytes(rows, hidden)));
    int8_h = take(static_cast<std::int64_t>(Int8Rows::Bytes(entries, inter)));
  }

  std::size_t active;   ///< ActiveGroup [at most entries].
  std::size_t gate_up;  ///< f32 [entries, 2 * inter].
  std::size_t h;        ///< [entries, inter] of x's type.
  std::size_t int8_x;   ///< Int8Rows [rows, hidden], for i8 weights.
  std::size_t int8_h;   ///< Int8Rows [entries, inter], for i8 weights.
  std::size_t bytes = 0;
};

/// Row-expert pairs in all.
inline std::int64_t ExpertFfnEntries(const ExpertFfnArgs& args) {
  std::int64_t entries = 0;
  for (const ExpertGroup& group : args.groups) {
    entries += static_cast<std::int64_t>(group.entries.size());
  }
  return entries;
}

/// Inner width; 0 without groups.
inline std::int64_t ExpertFfnInter(const ExpertFfnArgs& args) {
  if (args.groups.empty() || args.groups[0].down == nullptr) return 0;
  return args.groups[0].down->k();
}

}  // namespace moesaic::kernels
