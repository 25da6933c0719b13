#pragma once

#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "placement/shard_control.h"

namespace moesaic::placement {

/// Remembers what shards were told; the test says when and how each call ends.
class RecordedControl final : public ShardControl {
 public:
  struct Call {
    bool load;
    std::string address;
    base::PlacementEpoch epoch;
    std::vector<UnitKey> units;
    Done done;
  };
  void Load(const std::string& address, base::PlacementEpoch epoch,
            const std::vector<UnitKey>& units, Done done) override {
    calls.push_back({true, address, epoch, units, std::move(done)});
  }
  void Unload(const std::string& address, base::PlacementEpoch epoch,
              const std::vector<UnitKey>& units, Done done) override {
    calls.push_back({false, address, epoch, units, std::move(done)});
  }
  std::deque<Call> calls;
};

}  // namespace moesaic::placement
