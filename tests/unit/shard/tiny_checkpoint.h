#pragma once

#include <cstdint>
#include <memory>

#include "base/check.h"
#include "model/checkpoint.h"
#include "placement/view/topology.h"

namespace moesaic::shard {

/// The small checkpoint kept in the repository: DeepSeek-V3, hidden 96, 16 experts of width 48 in
/// layers 1 to 4. Tests run in the repository's root.
inline constexpr char kTinyCheckpoint[] = "models/tiny";

inline std::unique_ptr<model::Checkpoint> OpenTinyCheckpoint() {
  auto checkpoint = model::Checkpoint::Open(kTinyCheckpoint);
  MOESAIC_CHECK(checkpoint.ok());
  return *std::move(checkpoint);
}

inline placement::UnitKey Key(std::uint32_t layer, std::uint32_t unit) {
  return {base::LayerId(layer), base::UnitId(unit)};
}

}  // namespace moesaic::shard
