#include "services/cli/local_prometheus.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace moesaic::services {
namespace {

constexpr char kChildName[] = "prometheus";

std::string DirectoryIn(const std::string& state_dir) {
  return absl::StrCat(state_dir, "/", kChildName);
}

std::string TargetsPathIn(const std::string& state_dir) {
  return DirectoryIn(state_dir) + "/targets.json";
}

std::string MoreTargetsIn(const std::string& state_dir) {
  return DirectoryIn(state_dir) + "/more_targets";
}

bool IsProgram(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && ::access(path.c_str(), X_OK) == 0;
}

/// A port of loopback that is free now. Prometheus opens it a moment later: should another program
/// have taken it by then, the log says so. Errors: Unavailable.
absl::StatusOr<int> FreeLoopbackPort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  const bool bound = fd >= 0 &&
                     ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) ::close(fd);
  if (!bound) return absl::UnavailableError("no free port for Prometheus");
  return ntohs(address.sin_port);
}

/// JSON is YAML: strings are quoted as JSON quotes them, whatever is in a path. The labels of a
/// series win over those of its target (honor_labels), because some series of the coordinator carry
/// the `role` they speak of.
std::string Configuration(const LocalPrometheusOptions& options) {
  const std::string interval =
      absl::StrCat(absl::ToInt64Milliseconds(options.scrape_interval), "ms");
  const nlohmann::ordered_json root = {
      {"global", {{"scrape_interval", interval}, {"evaluation_interval", interval}}},
      {"rule_files", {options.share_dir + "/rules/*.yml"}},
      {"scrape_configs",
       {{{"job_name", "moesaic"},
         {"honor_labels", true},
         {"scrape_timeout", interval},
         {"file_sd_configs",
          {{{"files",
             {TargetsPathIn(options.state_dir),
              MoreTargetsIn(options.state_dir) + "/*.json"}}}}}}}}};
  return root.dump(2) + "\n";
}

}  // namespace

absl::StatusOr<std::string> FindPrometheus(const std::string& choice) {
  if (choice == "off") return "";
  if (choice != "auto") {
    if (IsProgram(choice)) return choice;
    return absl::InvalidArgumentError(
        absl::StrCat("--prometheus: ", choice, " is neither auto, off nor a program"));
  }
  const char* search_path = std::getenv("PATH");
  for (const absl::string_view folder : absl::StrSplit(search_path ? search_path : "", ':')) {
    const std::string program = absl::StrCat(folder, "/", kChildName);
    if (absl::StartsWith(folder, "/") && IsProgram(program)) return program;
  }
  return "";
}

absl::Status StartPrometheus(const LocalPrometheusOptions& options, Supervisor& supervisor) {
  const std::string rules = options.share_dir + "/rules";
  std::error_code error;
  if (!std::filesystem::is_directory(rules, error)) {
    return absl::InvalidArgumentError(absl::StrCat("--share-dir: no folder ", rules));
  }
  const std::string directory = DirectoryIn(options.state_dir);
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(directory + "/data"));
  MOESAIC_RETURN_IF_ERROR(base::MakeDirectory(MoreTargetsIn(options.state_dir)));
  MOESAIC_RETURN_IF_ERROR(
      base::WriteFileAtomically(directory + "/prometheus.yml", Configuration(options)));
  MOESAIC_RETURN_IF_ERROR(WritePrometheusTargets(options.state_dir, supervisor));
  int port = options.port;
  if (port == 0) {
    MOESAIC_ASSIGN_OR_RETURN(port, FreeLoopbackPort());
  }
  const std::string address = absl::StrCat("127.0.0.1:", port);
  ChildSpec spec;
  spec.name = kChildName;
  // Two days and half a gigabyte: enough to look back at an experiment, little for a laptop.
  spec.arguments = {options.program,
                    absl::StrCat("--config.file=", directory, "/prometheus.yml"),
                    absl::StrCat("--storage.tsdb.path=", directory, "/data"),
                    "--storage.tsdb.retention.time=2d",
                    "--storage.tsdb.retention.size=512MB",
                    absl::StrCat("--web.listen-address=", address)};
  spec.log_path = absl::StrCat(options.state_dir, "/logs/", kChildName, ".log");
  spec.must_start = false;
  std::filesystem::remove(spec.log_path, error);  // of an earlier cluster
  MOESAIC_ASSIGN_OR_RETURN(Supervisor::Child * child, supervisor.Start(std::move(spec)));
  child->addresses = {{"http", address}};
  child->served = true;
  return absl::OkStatus();
}

std::string PrometheusTargets(const std::list<Supervisor::Child>& children) {
  nlohmann::ordered_json targets = nlohmann::ordered_json::array();
  for (const Supervisor::Child& child : children) {
    const std::string address = child.Address("http");
    const std::string& name = child.spec.name;
    if (address.empty() || child.leaving || name == kChildName) continue;
    const std::string role = name.substr(0, name.find('-'));  // "shard-1" is a shard
    targets.push_back(
        {{"targets", {address}},
         {"labels", {{"job", "moesaic"}, {"cluster", "local"}, {"role", role}, {"name", name}}}});
  }
  return targets.dump(2) + "\n";
}

absl::Status WritePrometheusTargets(const std::string& state_dir, const Supervisor& supervisor) {
  return base::WriteFileAtomically(TargetsPathIn(state_dir),
                                   PrometheusTargets(supervisor.children()));
}

}  // namespace moesaic::services
