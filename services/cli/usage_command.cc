// moesaic usage: who used what, and what it cost, from the ledger.

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/status_macros.h"
#include "monitoring/ledger/ledger_store.h"
#include "monitoring/ledger/usage_report.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/usage_printer.h"
#include "services/flags/ledger_flags.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

using monitoring::UsageKey;

struct UsageFlags {
  std::string state_dir = DefaultStateDir();
  std::string ledger;
  std::string by = "tenant";
  std::string from;
  std::string to;
  std::string format = "table";
};

absl::StatusOr<std::set<UsageKey>> ParseKeys(const std::string& by) {
  std::set<UsageKey> keys;
  for (const absl::string_view name : absl::StrSplit(by, ',', absl::SkipEmpty())) {
    if (name == "day") {
      keys.insert(UsageKey::kDay);
    } else if (name == "tenant") {
      keys.insert(UsageKey::kTenant);
    } else if (name == "model") {
      keys.insert(UsageKey::kModel);
    } else {
      return absl::InvalidArgumentError(
          absl::StrCat("--by is of day, tenant and model, not '", name, "'"));
    }
  }
  return keys;
}

/// A day (its start, UTC) or a moment as RFC 3339 has it; `fallback` when nothing was said.
absl::StatusOr<absl::Time> ParseMoment(const std::string& flag, const std::string& text,
                                       absl::Time fallback) {
  if (text.empty()) return fallback;
  absl::CivilDay day;
  if (absl::ParseCivilTime(text, &day)) return absl::FromCivil(day, absl::UTCTimeZone());
  absl::Time time;
  if (absl::ParseTime(absl::RFC3339_full, text, &time, nullptr)) return time;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": '", text, "' is neither 2026-01-31 nor 2026-01-31T12:00:00Z"));
}

absl::StatusOr<std::string> FindLedger(const UsageFlags& flags) {
  std::string ledger = flags.ledger;
  if (ledger.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(flags.state_dir));
    ledger = cluster.ledger;
  }
  if (ledger.empty() || ledger == kNoLedger) {
    return absl::NotFoundError("this cluster keeps no ledger; name one with --ledger");
  }
  return ledger;
}

absl::StatusOr<std::string> MakeUsage(const UsageFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(std::set<UsageKey> keys, ParseKeys(flags.by));
  const absl::Time now = absl::Now();
  MOESAIC_ASSIGN_OR_RETURN(const absl::Time from,
                           ParseMoment("--from", flags.from, now - absl::Hours(24 * 30)));
  MOESAIC_ASSIGN_OR_RETURN(const absl::Time to, ParseMoment("--to", flags.to, now));
  MOESAIC_ASSIGN_OR_RETURN(const std::string ledger, FindLedger(flags));
  MOESAIC_ASSIGN_OR_RETURN(const std::unique_ptr<monitoring::LedgerStore> store,
                           monitoring::LedgerStore::Open(ledger, monitoring::SqlAccess::kRead));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<monitoring::UsageSum> usage,
                           store->SumUsage(from, to));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<monitoring::NodeTimeSum> nodes,
                           store->SumNodeTime(from, to));
  if (flags.format == "focus") keys = {UsageKey::kDay, UsageKey::kTenant, UsageKey::kModel};
  const monitoring::UsageReport report = monitoring::MakeUsageReport(usage, nodes, keys);
  if (flags.format == "focus") return UsageFocus(report);
  if (flags.format == "json") return UsageJson(report, keys);
  if (flags.format == "csv") return UsageCsv(report, keys);
  return UsageTable(report, keys);
}

int Usage(const UsageFlags& flags) {
  const absl::StatusOr<std::string> text = MakeUsage(flags);
  if (!text.ok()) {
    Fail("usage", std::string(text.status().message()));
    return absl::IsInvalidArgument(text.status()) ? kExitUsage : kExitFailure;
  }
  std::fputs(text->c_str(), stdout);
  return kExitOk;
}

}  // namespace

void AddUsageCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<UsageFlags>();
  CLI::App* command =
      app.add_subcommand("usage", "Who used what and what it cost, from the usage ledger");
  command->add_option("--state-dir", flags->state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command
      ->add_option("--ledger", flags->ledger,
                   "sqlite:PATH or postgresql://USER@HOST/DATABASE; default: the local cluster's")
      ->envname("MOESAIC_LEDGER");
  command->add_option("--by", flags->by, "What to tell apart: any of day,tenant,model")
      ->capture_default_str();
  command->add_option("--from", flags->from,
                      "Requests that ended at or after this day or moment, UTC; default: 30 days "
                      "ago");
  command->add_option("--to", flags->to, "And before this one; default: now");
  command
      ->add_option("--format", flags->format,
                   "table, csv, json, or focus: CSV for FinOps tools, by day, tenant and model")
      ->capture_default_str()
      ->check(CLI::IsMember({"table", "csv", "json", "focus"}));
  command->callback([flags, &run] { run = [flags] { return Usage(*flags); }; });
}

}  // namespace moesaic::services
