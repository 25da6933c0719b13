#pragma once

#include <cstdint>

namespace moesaic::router {

/// Waiting for the shards by what was waited for. Nanoseconds. Plain value.
struct WaitShares {
  std::int64_t wire = 0;
  std::int64_t queue = 0;
  std::int64_t expert = 0;
};

/// Divides the wait for an answer. `waited` of the `passed` nanoseconds since the call were waited,
/// the last of them; before, the router had something else to do. The shard says that the answer
/// lay in its queue and was computed for so long; the rest is the wire, half of it each way. What
/// was waited is therefore, from its end backwards: wire, expert, queue, wire.
WaitShares DivideWait(std::int64_t waited, std::int64_t passed, std::int64_t queue,
                      std::int64_t expert);

}  // namespace moesaic::router
