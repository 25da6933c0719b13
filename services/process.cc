#include "services/process.h"

#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/file.h"
#include "base/log.h"
#include "monitoring/ledger/sql_database.h"
#include "rpc/process_setup.h"

namespace moesaic::services {
namespace {

/// All flags and their values, without the password of the ledger.
std::string Describe(const CLI::App& app) {
  std::string text = app.config_to_str(/*default_also=*/true, /*write_description=*/false);
  const CLI::Option* ledger = app.get_option_no_throw("--ledger");
  if (ledger == nullptr || ledger->count() == 0) return text;
  const std::string url = ledger->as<std::string>();
  return absl::StrReplaceAll(text, {{url, monitoring::WithoutPassword(url)}});
}

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

absl::Status WriteAddressFile(const std::string& path, const RunningServer& server) {
  if (path.empty()) return absl::OkStatus();
  nlohmann::json addresses = nlohmann::json::object();
  for (const auto& [kind, address] : server.addresses) addresses[kind] = address;
  return base::WriteFileAtomically(path, addresses.dump() + "\n");
}

int ExitCodeFor(const absl::Status& status) {
  // What a restart cannot mend is told apart from what it can, for whoever supervises us.
  return status.code() == absl::StatusCode::kUnavailable ? kExitFailure : kExitUsage;
}

}  // namespace

void ProcessFlags::DeclareLog(FlagTable& table) {
  table
      .Add("log-level", log_level,
           "Least level that is logged: debug, info, warning or error; `moesaic log-level` changes "
           "it while the process runs")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  table.Add("log-format", log_format, "text, or json: an object a line")
      ->check(CLI::IsMember({"text", "json"}));
}

void ProcessFlags::ApplyLog(const std::string& process) const {
  base::SetLogFormat(log_format == "json" ? base::LogFormat::kJson : base::LogFormat::kText,
                     process);
  base::SetLogLevel(base::ParseLogLevel(log_level).value_or(base::LogLevel::kInfo));
}

void ProcessFlags::Declare(CLI::App& app) {
  app.add_option("--address-file", address_file,
                 "Write the bound addresses to this file as JSON once serving");
  app.add_option("--shutdown-grace-s", shutdown_grace_s,
                 "Seconds that work in progress may take after SIGTERM")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0))
      ->envname("MOESAIC_SHUTDOWN_GRACE_S");
  app.set_config("--config", "", "Read flags from this file (key=value lines)")
      ->envname("MOESAIC_CONFIG");
  app.set_version_flag("--version", BuildVersion());
  app.allow_config_extras(CLI::config_extras_mode::error);
}

bool ParseCommandLine(CLI::App& app, int argc, char** argv, int& exit_code) {
  try {
    app.parse(argc, argv);
    return true;
  } catch (const CLI::ParseError& error) {
    exit_code = app.exit(error) == 0 ? kExitOk : kExitUsage;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), error.what());
    exit_code = kExitUsage;
  }
  return false;
}

int RunServer(const std::string& name, CLI::App& app, const ProcessFlags& flags,
              const std::function<absl::StatusOr<RunningServer>()>& build) {
  const sigset_t signals = StopSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  rpc::PrepareProcess();
  flags.ApplyLog(name);
  base::LogInfo(name, " ", BuildVersion(),
                " configuration: ", nlohmann::json(Describe(app)).dump());

  absl::StatusOr<RunningServer> server = build();
  absl::Status status =
      server.ok() ? WriteAddressFile(flags.address_file, *server) : server.status();
  if (!status.ok()) {
    base::LogError(name, " cannot start: ", status.ToString());
    if (server.ok()) server->shutdown(absl::ZeroDuration());
    return ExitCodeFor(status);
  }
  int signal = 0;
  sigwait(&signals, &signal);
  base::LogInfo(name, ": ", signal == SIGTERM ? "SIGTERM" : "SIGINT", ", draining");
  server->shutdown(absl::Seconds(flags.shutdown_grace_s));
  base::LogInfo(name, ": stopped");
  return kExitOk;
}

std::string BuildVersion() { return "moesaic " MOESAIC_VERSION; }

}  // namespace moesaic::services
