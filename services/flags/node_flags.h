#pragma once

#include <string>

#include "monitoring/node_share.h"
#include "services/flags/flag_table.h"

namespace moesaic::services {

/// Where a process of any kind runs and what that costs; the same for all processes of a machine.
void DeclareNodeFlags(FlagTable& table, std::string& zone, monitoring::NodeShare& node_share);

}  // namespace moesaic::services
