#pragma once

#include <string>

#include "absl/status/status.h"
#include "monitoring/ledger/ledger.h"
#include "services/flags/flag_table.h"

namespace moesaic::services {

/// Says that no ledger is kept.
inline constexpr char kNoLedger[] = "none";

/// Where usage is kept: the same for all processes of a cluster.
void DeclareLedgerFlags(FlagTable& table, monitoring::Ledger::Options& ledger);
/// Where a process keeps what is not yet there: each has a folder of its own.
void DeclareLedgerQueueFlag(FlagTable& table, monitoring::Ledger::Options& ledger);
/// Fills in the queue's default, in `state_dir`. Errors: InvalidArgument for an address that names
/// no database, and when there is no folder for the queue.
absl::Status ResolveLedger(const std::string& state_dir, monitoring::Ledger::Options& ledger);

}  // namespace moesaic::services
