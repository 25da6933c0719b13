#include "services/cli/cluster_file.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace moesaic::services {
namespace {

constexpr std::size_t kMaxBytes = 1 << 20;

std::string PathIn(const std::string& state_dir) { return state_dir + "/cluster.json"; }

std::string WantedPathIn(const std::string& state_dir) { return state_dir + "/wanted.json"; }

}  // namespace

std::string DefaultStateDir() {
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime != nullptr && *runtime != '\0') return absl::StrCat(runtime, "/moesaic");
  return absl::StrCat("/tmp/moesaic-", ::getuid());
}

std::string DefaultLedger(const std::string& state_dir) {
  return absl::StrCat("sqlite:", state_dir, "/ledger.db");
}

absl::Status WriteClusterFile(const std::string& state_dir, const ClusterFile& cluster,
                              const Supervisor& supervisor) {
  nlohmann::ordered_json root = {{"http", cluster.http_url},
                                 {"coordinator", cluster.coordinator_address},
                                 {"pid", cluster.pid}};
  if (!cluster.prometheus_url.empty()) root["prometheus"] = cluster.prometheus_url;
  root["ledger"] = cluster.ledger;
  root["children"] = nlohmann::ordered_json::array();
  for (const Supervisor::Child& child : supervisor.children()) {
    nlohmann::ordered_json entry = {
        {"name", child.spec.name}, {"pid", child.pid}, {"log", child.spec.log_path}};
    for (const auto& [kind, address] : child.addresses) entry[kind] = address;
    root["children"].push_back(std::move(entry));
  }
  return base::WriteFileAtomically(PathIn(state_dir), root.dump(2) + "\n");
}

namespace {

/// The file, known to have what ClusterFile has.
absl::StatusOr<nlohmann::json> ReadRoot(const std::string& state_dir) {
  absl::StatusOr<std::string> text = base::ReadFile(PathIn(state_dir), kMaxBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(absl::StrCat("no local cluster in ", state_dir,
                                            "; start one with `moesaic up`, or name one by flag"));
  }
  MOESAIC_RETURN_IF_ERROR(text.status());
  nlohmann::json root = nlohmann::json::parse(*text, nullptr, false);
  if (!root.is_object() || !root["http"].is_string() || !root["coordinator"].is_string() ||
      !root["pid"].is_number_integer()) {
    return absl::DataLossError(absl::StrCat(PathIn(state_dir), " is not a cluster file"));
  }
  return root;
}

}  // namespace

absl::StatusOr<ClusterFile> ReadClusterFile(const std::string& state_dir) {
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json root, ReadRoot(state_dir));
  const auto text = [&root](const char* key) {
    const auto entry = root.find(key);
    return entry != root.end() && entry->is_string() ? entry->get<std::string>() : std::string();
  };
  return ClusterFile{text("http"), text("coordinator"), root["pid"].get<pid_t>(),
                     text("prometheus"), text("ledger")};
}

absl::StatusOr<std::string> ProcessUrl(const std::string& state_dir, const std::string& process) {
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json root, ReadRoot(state_dir));
  std::vector<std::string> names;
  const auto children = root.find("children");
  if (children != root.end() && children->is_array()) {
    for (const nlohmann::json& child : *children) {
      if (!child.is_object() || !child.value("http", nlohmann::json()).is_string()) continue;
      names.push_back(child.value("name", ""));
      if (names.back() == process) return "http://" + child["http"].get<std::string>();
    }
  }
  return absl::NotFoundError(absl::StrCat("no process '", process, "' serves HTTP in ", state_dir,
                                          "; there are: ", absl::StrJoin(names, ", ")));
}

absl::Status WriteWantedShards(const std::string& state_dir, int shards) {
  return base::WriteFileAtomically(WantedPathIn(state_dir),
                                   nlohmann::json({{"shards", shards}}).dump() + "\n");
}

absl::StatusOr<int> ReadWantedShards(const std::string& state_dir) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text,
                           base::ReadFile(WantedPathIn(state_dir), kMaxBytes));
  nlohmann::json root = nlohmann::json::parse(text, nullptr, false);
  if (!root.is_object() || !root["shards"].is_number_integer() || root["shards"] < 1 ||
      root["shards"] > kMaxLocalShards) {
    return absl::DataLossError(
        absl::StrCat(WantedPathIn(state_dir), " does not say how many shards are wanted"));
  }
  return root["shards"].get<int>();
}

}  // namespace moesaic::services
