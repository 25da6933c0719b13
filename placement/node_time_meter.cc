#include "placement/node_time_meter.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace moesaic::placement {

std::vector<monitoring::NodeTime> NodeTimeMeter::Look(absl::Time now, absl::Duration monotonic,
                                                      absl::Span<const RunningProcess> running,
                                                      const monitoring::PriceList* prices) {
  std::vector<monitoring::NodeTime> rows;
  std::set<std::string> here;
  for (const RunningProcess& process : running) {
    const std::string key = absl::StrCat(process.role, "/", process.name, "/", process.incarnation);
    here.insert(key);
    const auto [at, is_new] = open_.try_emplace(key);
    Open& open = at->second;
    if (is_new) {
      open = {process, now, now, monotonic, absl::ZeroDuration(), process.busy_seconds_total};
      continue;
    }
    open.alive += monotonic - std::exchange(open.seen, monotonic);
    open.process = process;
    open.end = now;
    if (open.alive < period_) continue;
    rows.push_back(Close(open, prices));
    open.start = now;
    open.alive = absl::ZeroDuration();
    open.busy_before = process.busy_seconds_total;
  }
  for (auto at = open_.begin(); at != open_.end();) {
    if (here.contains(at->first)) {
      ++at;
      continue;
    }
    if (at->second.alive > absl::ZeroDuration()) rows.push_back(Close(at->second, prices));
    at = open_.erase(at);
  }
  return rows;
}

std::vector<monitoring::NodeTime> NodeTimeMeter::Finish(const monitoring::PriceList* prices) {
  std::vector<monitoring::NodeTime> rows;
  for (const auto& [key, open] : open_) {
    if (open.alive > absl::ZeroDuration()) rows.push_back(Close(open, prices));
  }
  open_.clear();
  return rows;
}

monitoring::NodeTime NodeTimeMeter::Close(const Open& open,
                                          const monitoring::PriceList* prices) const {
  monitoring::NodeTime row;
  row.id = absl::StrCat(writer_, "/", open.process.role, "/", open.process.name, "/",
                        open.process.incarnation, "/", absl::ToUnixMicros(open.start));
  row.process = open.process.name;
  row.role = open.process.role;
  row.node = open.process.node;
  row.share = open.process.node_share;
  row.start = open.start;
  row.end = open.end;
  row.alive_seconds = absl::ToDoubleSeconds(open.alive);
  row.busy_seconds = open.process.busy_seconds_total - open.busy_before;
  if (prices == nullptr) return row;
  row.currency = prices->currency();
  const std::optional<double> per_second = prices->PerSecond(row.share);
  if (per_second) row.cost = *per_second * row.alive_seconds;
  return row;
}

}  // namespace moesaic::placement
