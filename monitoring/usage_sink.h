#pragma once

#include "monitoring/usage_record.h"

namespace moesaic::monitoring {

/// Takes what finished requests used. Thread-safe.
class UsageSink {
 public:
  virtual ~UsageSink() = default;
  /// Called before the end of the answer leaves, so it never waits for a database. A record that
  /// cannot be kept is counted and logged, not reported: the client has its answer either way.
  virtual void Append(UsageRecord record) = 0;
};

}  // namespace moesaic::monitoring
