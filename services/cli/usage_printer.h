#pragma once

#include <set>
#include <string>

#include "monitoring/ledger/usage_report.h"

namespace moesaic::services {

// A usage report in the forms `moesaic usage` prints. What is unknown is "unknown" for people, null
// in JSON and empty in CSV. Pure functions.

std::string UsageTable(const monitoring::UsageReport& report,
                       const std::set<monitoring::UsageKey>& keys);
std::string UsageCsv(const monitoring::UsageReport& report,
                     const std::set<monitoring::UsageKey>& keys);
std::string UsageJson(const monitoring::UsageReport& report,
                      const std::set<monitoring::UsageKey>& keys);
/// FOCUS 1.2 (FinOps Open Cost and Usage Specification), a row per day, tenant and model, and one
/// for the nodes' cost of a day without requests. Requires: the report tells all three apart.
std::string UsageFocus(const monitoring::UsageReport& report);

}  // namespace moesaic::services
