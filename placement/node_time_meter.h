#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "monitoring/cost/price_list.h"
#include "monitoring/ledger/ledger_row.h"

namespace moesaic::placement {

/// A process that runs now. Plain value.
struct RunningProcess {
  std::string name;
  std::string role;               ///< router, shard or coordinator.
  std::uint64_t incarnation = 0;  ///< Differs each time a process of that name starts.
  std::string node;
  monitoring::NodeShare node_share;
  double busy_seconds_total = 0;  ///< Since it started.
};

/// Turns looks at the running processes into the ledger's node time: a row for every process and
/// period, and one for what is left when a process ends. What a process had computed before it was
/// first seen is not counted. Pure: time is passed in. Single-thread.
class NodeTimeMeter {
 public:
  /// `writer`: unique for ever, part of the rows' ids. `period`: length of a row.
  NodeTimeMeter(std::string writer, absl::Duration period)
      : writer_(std::move(writer)), period_(period) {}

  /// Rows that are complete by now. Call it several times a second. `prices` may be null.
  std::vector<monitoring::NodeTime> Look(absl::Time now, absl::Duration monotonic,
                                         absl::Span<const RunningProcess> running,
                                         const monitoring::PriceList* prices);
  /// Rows of what has been seen and not yet returned: nobody looks any more.
  std::vector<monitoring::NodeTime> Finish(const monitoring::PriceList* prices);

 private:
  struct Open {
    RunningProcess process;  ///< As of the last look.
    absl::Time start;
    absl::Time end;
    absl::Duration seen;
    absl::Duration alive;
    double busy_before = 0;
  };
  monitoring::NodeTime Close(const Open& open, const monitoring::PriceList* prices) const;

  const std::string writer_;
  const absl::Duration period_;
  std::map<std::string, Open> open_;  // by role, name and incarnation
};

}  // namespace moesaic::placement
