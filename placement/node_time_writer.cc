#include "placement/node_time_writer.h"

#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"

namespace moesaic::placement {
namespace {

/// A killed coordinator loses the rows it had begun; each row is one in the database for ever.
constexpr absl::Duration kPeriod = absl::Seconds(30);

std::string UniqueName() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x", random(), random(), random());
}

std::vector<RunningProcess> RunningProcesses(const Coordinator& coordinator, RunningProcess self) {
  std::vector<RunningProcess> running = {std::move(self)};
  for (const auto& [id, member] : coordinator.membership().members()) {
    if (member.state == Member::State::kExpired) continue;
    running.push_back({.name = member.description.name,
                       .role = "shard",
                       .incarnation = member.description.incarnation,
                       .node = member.description.node,
                       .node_share = member.description.node_share,
                       .busy_seconds_total = member.busy_seconds_total});
  }
  for (const auto& [session, router] : coordinator.routers()) {
    running.push_back({.name = router.name,
                       .role = "router",
                       .incarnation = session,
                       .node = router.description.node,
                       .node_share = router.description.node_share,
                       .busy_seconds_total = router.busy_seconds_total});
  }
  return running;
}

}  // namespace

absl::StatusOr<std::unique_ptr<NodeTimeWriter>> NodeTimeWriter::Start(
    monitoring::Ledger::Options ledger, RunningProcess self, monitoring::PriceListFile* prices,
    monitoring::Registry& metrics, const base::Clock& clock) {
  MOESAIC_ASSIGN_OR_RETURN(std::unique_ptr<monitoring::Ledger> started,
                           monitoring::Ledger::Start(std::move(ledger), metrics));
  return std::unique_ptr<NodeTimeWriter>(
      new NodeTimeWriter(std::move(started), std::move(self), prices, clock));
}

NodeTimeWriter::NodeTimeWriter(std::unique_ptr<monitoring::Ledger> ledger, RunningProcess self,
                               monitoring::PriceListFile* prices, const base::Clock& clock)
    : self_(std::move(self)),
      prices_(prices),
      clock_(clock),
      ledger_(std::move(ledger)),
      meter_(UniqueName(), kPeriod) {}

void NodeTimeWriter::Look(const Coordinator& coordinator) {
  const auto prices = prices_ != nullptr ? prices_->Get() : nullptr;
  Append(meter_.Look(clock_.Now(), clock_.Monotonic(), RunningProcesses(coordinator, self_),
                     prices.get()));
}

void NodeTimeWriter::Stop(absl::Duration grace) {
  const auto prices = prices_ != nullptr ? prices_->Get() : nullptr;
  Append(meter_.Finish(prices.get()));
  ledger_->Stop(grace);
}

void NodeTimeWriter::Append(std::vector<monitoring::NodeTime> rows) {
  for (monitoring::NodeTime& row : rows) ledger_->AppendRow(std::move(row));
}

}  // namespace moesaic::placement
