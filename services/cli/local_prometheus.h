#pragma once

#include <list>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "services/cli/supervisor.h"

namespace moesaic::services {

/// The Prometheus of a local cluster: a child like the others, on loopback, that scrapes every
/// process of the cluster and evaluates Moesaic's rules. Plain value.
struct LocalPrometheusOptions {
  std::string program;  ///< Path of the program; empty = none is run.
  /// Of the cluster; it has prometheus/ in there. Whatever else it is to scrape (a node exporter,
  /// say) goes to prometheus/more_targets/*.json, in the format of file_sd.
  std::string state_dir;
  std::string share_dir;  ///< rules/*.yml in there are loaded.
  int port = 0;           ///< 0 = any free one.
  absl::Duration scrape_interval = absl::Seconds(2);
};

/// The program that `choice` names: "auto" is the one on the search path, if any; "off" is none
/// (both ""); anything else is its path. Errors: InvalidArgument when that is no program.
absl::StatusOr<std::string> FindPrometheus(const std::string& choice);

/// Writes the configuration and starts it. The child counts as serving from the start: it is
/// started again whenever it ends, on the same port, and nothing waits for it.
/// Errors: what could not be written or started, or that the folder of the rules is not there.
absl::Status StartPrometheus(const LocalPrometheusOptions& options, Supervisor& supervisor);

/// What Prometheus is to scrape: every child with an HTTP address, in the format of file_sd, with
/// the labels job ("moesaic"), cluster ("local"), role and name. A child that is down and will be
/// started again stays in, so that its absence is seen; one that was told to leave does not.
std::string PrometheusTargets(const std::list<Supervisor::Child>& children);

/// Replaces the file that Prometheus watches. Crash-safe.
absl::Status WritePrometheusTargets(const std::string& state_dir, const Supervisor& supervisor);

}  // namespace moesaic::services
