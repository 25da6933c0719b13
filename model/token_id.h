#pragma once

#include <cstdint>

namespace moesaic::model {

/// Largest token id that is accepted: far above any published vocabulary (Gemma 3: 262 208), and a
/// bound on the tables indexed by id.
inline constexpr std::int64_t kMaxTokenId = (std::int64_t{1} << 22) - 1;

}  // namespace moesaic::model
