#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "monitoring/cost/price_list.h"
#include "monitoring/ledger/ledger.h"
#include "placement/coordinator.h"
#include "placement/node_time_meter.h"

namespace moesaic::placement {

/// Keeps the time of all processes the coordinator knows, and its own, in the usage ledger.
/// Single-thread.
class NodeTimeWriter {
 public:
  /// `prices` may be null; all borrowed. Errors: those of monitoring::Ledger::Start.
  static absl::StatusOr<std::unique_ptr<NodeTimeWriter>> Start(monitoring::Ledger::Options ledger,
                                                               RunningProcess self,
                                                               monitoring::PriceListFile* prices,
                                                               monitoring::Registry& metrics,
                                                               const base::Clock& clock);

  /// Call it several times a second.
  void Look(const Coordinator& coordinator);
  /// Writes what is not yet written and stops, within `grace`. Idempotent.
  void Stop(absl::Duration grace);

 private:
  NodeTimeWriter(std::unique_ptr<monitoring::Ledger> ledger, RunningProcess self,
                 monitoring::PriceListFile* prices, const base::Clock& clock);
  void Append(std::vector<monitoring::NodeTime> rows);

  const RunningProcess self_;
  monitoring::PriceListFile* const prices_;
  const base::Clock& clock_;
  const std::unique_ptr<monitoring::Ledger> ledger_;
  NodeTimeMeter meter_;
};

}  // namespace moesaic::placement
