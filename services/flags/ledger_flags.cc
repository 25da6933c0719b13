#include "services/flags/ledger_flags.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::services {

void DeclareLedgerFlags(FlagTable& table, monitoring::Ledger::Options& ledger) {
  table.Add(
      "ledger", ledger.url,
      "Where usage is kept, one row per request: sqlite:PATH, postgresql://USER@HOST/DATABASE "
      "or none");
  table.AddBytes("ledger-queue-bytes", ledger.queue.max_bytes,
                 "Most that waits on disk while the ledger is away; what comes then is lost");
}

void DeclareLedgerQueueFlag(FlagTable& table, monitoring::Ledger::Options& ledger) {
  table.Add("ledger-queue", ledger.queue.directory,
            "Folder of what waits for the ledger; each process has its own. Default: in the state "
            "folder");
}

absl::Status ResolveLedger(const std::string& state_dir, monitoring::Ledger::Options& ledger) {
  if (ledger.url == kNoLedger) ledger.url.clear();
  if (ledger.url.empty()) return absl::OkStatus();
  if (const absl::Status status = monitoring::CheckLedgerUrl(ledger.url); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--ledger: ", status.message()));
  }
  if (ledger.queue.directory.empty() && !state_dir.empty()) {
    ledger.queue.directory = state_dir + "/ledger";
  }
  if (ledger.queue.directory.empty()) {
    return absl::InvalidArgumentError("--ledger also needs --ledger-queue, a folder");
  }
  return absl::OkStatus();
}

}  // namespace moesaic::services
