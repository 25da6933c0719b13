#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/flags/flag_table.h"

namespace moesaic::services {

/// Exit codes of every Moesaic program.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;  ///< It ran, and failed.
inline constexpr int kExitUsage = 2;    ///< Bad flags or configuration; trying again will not help.

/// A server process once it is up: what `RunServer` waits with and then stops.
struct RunningServer {
  /// Addresses for --address-file: {"grpc": "127.0.0.1:1234", "http": …}.
  std::vector<std::pair<std::string, std::string>> addresses;
  /// Drains and stops within the grace time.
  std::function<void(absl::Duration grace)> shutdown;
};

/// Flags every server process has.
struct ProcessFlags {
  std::string log_level = "info";
  std::string log_format = "text";
  std::string address_file;
  double shutdown_grace_s = 30;

  void Declare(CLI::App& app);
  /// Those of the log; `moesaic up` has them too and passes them on.
  void DeclareLog(FlagTable& table);
  /// Applies those of the log to this process, named `process` in its lines.
  void ApplyLog(const std::string& process) const;
};

/// Parses the command line into `app` and maps CLI11's exceptions to an exit code: returns true to
/// go on, false to exit with `exit_code` (help, version, or a usage error already printed).
bool ParseCommandLine(CLI::App& app, int argc, char** argv, int& exit_code);

/// The life of a server process: blocks SIGTERM and SIGINT before any thread starts, logs the final
/// configuration, builds, writes the address file, waits for a signal, shuts down. Returns the exit
/// code: 0 after a signal, kExitUsage when `build` refuses its options, kExitFailure otherwise.
int RunServer(const std::string& name, CLI::App& app, const ProcessFlags& flags,
              const std::function<absl::StatusOr<RunningServer>()>& build);

/// Version and name, for --version and for hellos.
std::string BuildVersion();

}  // namespace moesaic::services
