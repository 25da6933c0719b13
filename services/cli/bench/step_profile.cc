#include "services/cli/bench/step_profile.h"

#include <algorithm>
#include <array>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::services {
namespace {

constexpr std::size_t kMaxMetricsBytes = 64 << 20;
constexpr const char* kKinds[] = {"prefill", "decode"};

/// The order in which a layer passes through them; others come behind.
constexpr std::array<std::string_view, 11> kPhaseOrder = {
    "attention", "gate",    "pack", "wire",   "queue", "expert",
    "shared",    "combine", "head", "sample", "other"};

/// The value of a label in `{a="x",b="y"}`; our own labels have no quotes in them.
std::string LabelOf(absl::string_view labels, absl::string_view name) {
  const std::string key = absl::StrCat(name, "=\"");
  for (std::size_t at = labels.find(key); at != absl::string_view::npos;
       at = labels.find(key, at + 1)) {
    if (at == 0 || (labels[at - 1] != '{' && labels[at - 1] != ',')) continue;
    const absl::string_view rest = labels.substr(at + key.size());
    return std::string(rest.substr(0, rest.find('"')));
  }
  return "";
}

void TakeLine(absl::string_view line, StepCounters& counters) {
  const std::size_t open = line.find('{');
  const std::size_t close = line.rfind("} ");
  if (open == absl::string_view::npos || close == absl::string_view::npos || close < open) return;
  double value = 0;
  if (!absl::SimpleAtod(line.substr(close + 2), &value)) return;
  const absl::string_view name = line.substr(0, open);
  const absl::string_view labels = line.substr(open, close - open);
  const std::string kind = LabelOf(labels, "step");
  if (std::find(std::begin(kKinds), std::end(kKinds), kind) == std::end(kKinds)) return;
  StepSums& sums = counters.kinds[kind];
  if (name == "moesaic_steps_total") sums.steps = value;
  if (name == "moesaic_step_rows_total") sums.rows = value;
  if (name == "moesaic_step_phase_seconds_total") sums.phase_s[LabelOf(labels, "phase")] = value;
}

/// Phases that a profile has, in order.
std::vector<std::string> PhasesOf(const StepProfile& profile) {
  std::vector<std::string> phases(kPhaseOrder.begin(), kPhaseOrder.end());
  for (const auto& [kind, sums] : profile.kinds) {
    for (const auto& [phase, seconds] : sums.phase_s) {
      if (std::find(phases.begin(), phases.end(), phase) == phases.end()) phases.push_back(phase);
    }
  }
  return phases;
}

double At(const std::map<std::string, double>& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? 0 : found->second;
}

double Ratio(double a, double b) { return b > 0 ? a / b : 0; }

std::string ShareLine(const StepProfile& profile) {
  std::string text = absl::StrFormat("of %.2f s:", profile.wall_s);
  for (const auto& [kind, sums] : profile.kinds) {
    absl::StrAppendFormat(&text, " %s steps %.1f %%,", kind,
                          100 * Ratio(sums.total_s(), profile.wall_s));
  }
  absl::StrAppendFormat(&text, " idle %.1f %%\n", 100 * Ratio(profile.idle_s(), profile.wall_s));
  return text;
}

}  // namespace

double StepSums::total_s() const {
  double total = 0;
  for (const auto& [phase, seconds] : phase_s) total += seconds;
  return total;
}

double StepProfile::idle_s() const {
  double rest = wall_s;
  for (const auto& [kind, sums] : kinds) rest -= sums.total_s();
  // A step that ends just behind the second look counts for it, one before the first does not.
  return std::max(0.0, rest);
}

absl::StatusOr<StepCounters> ReadStepCounters(std::string_view metrics) {
  StepCounters counters;
  for (const absl::string_view line : absl::StrSplit(base::ToAbsl(metrics), '\n')) {
    if (absl::StartsWith(line, "moesaic_step")) TakeLine(line, counters);
  }
  for (const char* kind : kKinds) {
    if (!counters.kinds.contains(kind) || counters.kinds[kind].phase_s.empty()) {
      return absl::NotFoundError("no moesaic_step_phase_seconds_total in its metrics");
    }
  }
  return counters;
}

absl::StatusOr<StepCounters> FetchStepCounters(const std::string& base_url,
                                               const http::ClientOptions& options) {
  std::string root = base_url;
  if (absl::EndsWith(root, "/v1")) root.resize(root.size() - 3);
  const auto refuse = [&root](absl::string_view why) {
    return absl::FailedPreconditionError(
        absl::StrCat("--profile is for a Moesaic router, and ", root, "/metrics is none's: ", why));
  };
  http::ClientOptions bounded = options;
  bounded.max_response_bytes = kMaxMetricsBytes;
  MOESAIC_ASSIGN_OR_RETURN(const http::Client client, http::Client::Create(root, bounded));
  const absl::StatusOr<http::Response> response = client.Get("/metrics");
  if (absl::IsCancelled(response.status())) return response.status();
  if (!response.ok()) return refuse(response.status().message());
  if (response->status != 200) return refuse(absl::StrCat("HTTP ", response->status));
  absl::StatusOr<StepCounters> counters = ReadStepCounters(response->body);
  if (!counters.ok()) return refuse(counters.status().message());
  counters->at = base::Clock::Real().Monotonic();
  return counters;
}

absl::StatusOr<StepProfile> ProfileBetween(const StepCounters& before, const StepCounters& after) {
  StepProfile profile{.wall_s = absl::ToDoubleSeconds(after.at - before.at)};
  bool fallen = false;
  const auto since = [&fallen](double earlier, double later) {
    fallen = fallen || later < earlier;
    return later - earlier;
  };
  for (const auto& [kind, sums] : after.kinds) {
    const auto found = before.kinds.find(kind);
    const StepSums earlier = found == before.kinds.end() ? StepSums() : found->second;
    StepSums& between = profile.kinds[kind];
    between.steps = since(earlier.steps, sums.steps);
    between.rows = since(earlier.rows, sums.rows);
    for (const auto& [phase, seconds] : sums.phase_s) {
      between.phase_s[phase] = since(At(earlier.phase_s, phase), seconds);
    }
  }
  if (fallen) {
    return absl::FailedPreconditionError(
        "its counters have fallen: the router was restarted, or there are several behind this URL");
  }
  return profile;
}

std::string ProfileTable(const StepProfile& profile) {
  std::string head;
  std::string counts;
  std::string total;
  for (const auto& [kind, sums] : profile.kinds) {
    absl::StrAppendFormat(&head, " %11s %8s", kind, "share");
    absl::StrAppendFormat(&counts, " %11.0f %8.1f", sums.steps, Ratio(sums.rows, sums.steps));
    absl::StrAppendFormat(&total, " %11.1f %7.1f%%", 1e6 * Ratio(sums.total_s(), sums.steps),
                          sums.steps > 0 ? 100.0 : 0.0);
  }
  std::string text = absl::StrFormat("%-22s%s\n%-22s%s\n", "where steps spend time", head,
                                     "steps, rows of each", counts);
  for (const std::string& phase : PhasesOf(profile)) {
    absl::StrAppendFormat(&text, "%-22s", absl::StrCat(phase, ", µs"));
    // µ is two bytes, and so one more than its column.
    text += ' ';
    for (const auto& [kind, sums] : profile.kinds) {
      const double seconds = At(sums.phase_s, phase);
      absl::StrAppendFormat(&text, " %11.1f %7.1f%%", 1e6 * Ratio(seconds, sums.steps),
                            100 * Ratio(seconds, sums.total_s()));
    }
    text += '\n';
  }
  absl::StrAppendFormat(&text, "%-22s %s\n", "a step, µs", total);
  return text + ShareLine(profile);
}

nlohmann::ordered_json ProfileJson(const StepProfile& profile) {
  nlohmann::ordered_json json = {{"wall_s", profile.wall_s}, {"idle_s", profile.idle_s()}};
  for (const auto& [kind, sums] : profile.kinds) {
    nlohmann::ordered_json& of_kind = json["steps"][kind];
    of_kind = {{"steps", sums.steps}, {"rows", sums.rows}, {"total_s", sums.total_s()}};
    for (const std::string& phase : PhasesOf(profile)) {
      of_kind["phases_s"][phase] = At(sums.phase_s, phase);
    }
  }
  return json;
}

}  // namespace moesaic::services
