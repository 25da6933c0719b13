// moesaic log-level PROCESS [LEVEL]: what a running process logs.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/client.h"
#include "services/cli/api_client.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

constexpr char kPath[] = "/debug/log-level";

struct LogLevelFlags {
  std::string state_dir = DefaultStateDir();
  std::string process;
  std::string level;  ///< Empty = only say what it is.
};

/// The process's own URL, or that of a process of the local cluster.
absl::StatusOr<std::string> UrlOf(const LogLevelFlags& flags) {
  if (flags.process.find("://") != std::string::npos) return flags.process;
  return ProcessUrl(flags.state_dir, flags.process);
}

absl::StatusOr<std::string> SetOrGet(const LogLevelFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string url, UrlOf(flags));
  MOESAIC_ASSIGN_OR_RETURN(const http::Client client,
                           http::Client::Create(url, {.read_timeout = absl::Seconds(10)}));
  MOESAIC_ASSIGN_OR_RETURN(const http::Response response, flags.level.empty()
                                                              ? client.Get(kPath)
                                                              : client.Put(kPath, flags.level));
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json answer, ParseAnswer(response));
  return answer.value("level", "");
}

int LogLevel(const LogLevelFlags& flags) {
  const absl::StatusOr<std::string> level = SetOrGet(flags);
  if (!level.ok()) return Fail("log-level", std::string(level.status().message()));
  std::printf("%s: %s\n", flags.process.c_str(), level->c_str());
  return kExitOk;
}

}  // namespace

void AddLogLevelCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<LogLevelFlags>();
  CLI::App* command = app.add_subcommand("log-level", "Show or change what a running process logs");
  command
      ->add_option("process", flags->process,
                   "A process of the local cluster (coordinator, router-1, shard-2), or http://…")
      ->required();
  command->add_option("level", flags->level, "debug, info, warning or error")
      ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
  command->add_option("--state-dir", flags->state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command->callback([flags, &run] { run = [flags] { return LogLevel(*flags); }; });
}

}  // namespace moesaic::services
