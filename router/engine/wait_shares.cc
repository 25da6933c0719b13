#include "router/engine/wait_shares.h"

#include <algorithm>

namespace moesaic::router {

WaitShares DivideWait(std::int64_t waited, std::int64_t passed, std::int64_t queue,
                      std::int64_t expert) {
  std::int64_t left = std::max<std::int64_t>(0, waited);
  const auto take = [&left](std::int64_t most) {
    const std::int64_t taken = std::clamp<std::int64_t>(most, 0, left);
    left -= taken;
    return taken;
  };
  WaitShares shares;
  shares.wire = take((passed - queue - expert) / 2);
  shares.expert = take(expert);
  shares.queue = take(queue);
  shares.wire += left;
  return shares;
}

}  // namespace moesaic::router
