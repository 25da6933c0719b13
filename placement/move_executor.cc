#include "placement/move_executor.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace moesaic::placement {
namespace {

/// Waits between attempts at a load that failed.
constexpr absl::Duration kFirstBackoff = absl::Seconds(1);
constexpr absl::Duration kMaxBackoff = absl::Seconds(30);

std::vector<UnitKey> KeysOf(const ExpertTopology& topology,
                            const std::vector<std::uint32_t>& units) {
  std::vector<UnitKey> keys;
  for (const std::uint32_t unit : units) keys.push_back(topology.KeyOf(unit));
  return keys;
}

}  // namespace

std::vector<std::uint32_t> UnitDifference(const std::vector<std::uint32_t>& from,
                                          const std::vector<std::uint32_t>& without) {
  std::vector<std::uint32_t> result;
  std::set_difference(from.begin(), from.end(), without.begin(), without.end(),
                      std::back_inserter(result));
  return result;
}

MoveExecutor::MoveExecutor(MovePolicy policy, ShardControl& control, const Membership& membership,
                           const base::Clock& clock, Ended ended)
    : policy_(policy),
      control_(control),
      membership_(membership),
      clock_(clock),
      ended_(std::move(ended)) {}

void MoveExecutor::OnRegistered(base::ShardId shard) {
  progress_[shard].retry_at = -absl::InfiniteDuration();
}

void MoveExecutor::OnReported(base::ShardId shard) {
  Progress& progress = progress_[shard];
  // After a failure the pause stays.
  if (progress.problem.empty()) progress.retry_at = -absl::InfiniteDuration();
}

void MoveExecutor::Start(const View& view) {
  for (const auto& [id, member] : membership_.members()) {
    if (in_flight_ >= policy_.parallel_moves) return;
    Progress& progress = progress_[id];
    if (member.state != Member::State::kLive || member.draining || progress.busy ||
        clock_.Monotonic() < progress.retry_at) {
      continue;
    }
    if (!StartLoad(view, member)) StartUnload(view, member);
  }
}

std::uint32_t MoveExecutor::LiveCopies(const View& view, std::uint32_t unit) const {
  if (view.published == nullptr) return 0;
  const UnitKey key = membership_.topology().KeyOf(unit);
  std::uint32_t copies = 0;
  for (const base::ShardId id : view.published->Holders(key.layer, key.unit)) {
    const Member* const member = membership_.Find(id);
    copies += member != nullptr && member->state == Member::State::kLive && !member->draining;
  }
  return std::min(copies, view.replicas);
}

std::vector<std::uint32_t> MoveExecutor::NextLoads(const View& view, const Member& member) const {
  const ExpertTopology& topology = membership_.topology();
  std::vector<std::uint32_t> missing = UnitDifference(view.wanted.UnitsOf(member.id), member.held);
  const auto before = [&](std::uint32_t a, std::uint32_t b) {
    const auto key = [&](std::uint32_t unit) {
      const float rows = view.loads.empty() ? 0 : view.loads[unit].rows;
      return std::tuple(LiveCopies(view, unit), -rows, unit);
    };
    return key(a) < key(b);
  };
  std::sort(missing.begin(), missing.end(), before);
  const std::uint64_t fits = member.description.memory_bytes / topology.unit_bytes;
  const std::uint64_t room = fits - std::min<std::uint64_t>(fits, member.held.size());
  const std::uint64_t chunk = std::max<std::uint64_t>(1, policy_.chunk_bytes / topology.unit_bytes);
  missing.resize(std::min<std::uint64_t>({missing.size(), room, chunk}));
  return missing;
}

bool MoveExecutor::StartLoad(const View& view, const Member& member) {
  const std::vector<std::uint32_t> units = NextLoads(view, member);
  if (units.empty()) return false;
  if (policy_.move_bytes_per_s > 0 && LiveCopies(view, units.front()) >= view.replicas) {
    const absl::Duration now = clock_.Monotonic();
    if (now < unhurried_at_) return false;
    const double bytes =
        static_cast<double>(units.size()) * static_cast<double>(membership_.topology().unit_bytes);
    unhurried_at_ = now + absl::Seconds(bytes / static_cast<double>(policy_.move_bytes_per_s));
  }
  control_.Load(member.description.address, view.epoch, KeysOf(membership_.topology(), units),
                Begin(member, /*loading=*/true, units));
  return true;
}

void MoveExecutor::StartUnload(const View& view, const Member& member) {
  if (!view.may_unload) return;
  std::vector<std::uint32_t> surplus = UnitDifference(member.held, view.wanted.UnitsOf(member.id));
  std::erase_if(surplus, [&](std::uint32_t unit) {
    const UnitKey key = membership_.topology().KeyOf(unit);
    const auto published = view.published->Holders(key.layer, key.unit);
    return published.empty() ||
           std::find(published.begin(), published.end(), member.id) != published.end();
  });
  if (surplus.empty()) return;
  control_.Unload(member.description.address, view.epoch, KeysOf(membership_.topology(), surplus),
                  Begin(member, /*loading=*/false, surplus));
}

ShardControl::Done MoveExecutor::Begin(const Member& member, bool loading,
                                       std::vector<std::uint32_t> units) {
  Progress& progress = progress_[member.id];
  progress.busy = true;
  progress.loading = loading;
  progress.moving = std::move(units);
  std::sort(progress.moving.begin(), progress.moving.end());
  ++in_flight_;
  return [this, id = member.id, incarnation = member.description.incarnation](
             const absl::Status& status) { OnDone(id, incarnation, status); };
}

bool MoveExecutor::Shows(const Member& member, const Progress& progress) {
  const std::size_t absent = UnitDifference(progress.moving, member.held).size();
  return absent == (progress.loading ? 0 : progress.moving.size());
}

void MoveExecutor::OnDone(base::ShardId shard, std::uint64_t incarnation,
                          const absl::Status& status) {
  --in_flight_;
  const Member* const member = membership_.Find(shard);
  Progress& progress = progress_[shard];
  progress.busy = false;
  Count(status.ok(), progress);
  if (member == nullptr || member->description.incarnation != incarnation) return;
  const absl::Duration now = clock_.Monotonic();
  if (status.ok()) {
    progress.problem.clear();
    progress.backoff = absl::ZeroDuration();
    // Its report is on the way, or has come before this answer.
    progress.retry_at = Shows(*member, progress) ? now : now + policy_.report_within;
  } else {
    progress.problem = std::string(status.message());
    progress.backoff = std::clamp(progress.backoff * 2, kFirstBackoff, kMaxBackoff);
    progress.retry_at = now + progress.backoff;
    base::LogWarning("shard ", member->description.name, ": ", status.ToString());
  }
  ended_(status, *member);
}

void MoveExecutor::Count(bool ok, Progress& progress) {
  const std::size_t units = ok ? progress.moving.size() : 0;
  if (progress.loading) {
    ++(ok ? totals_.loads_ok : totals_.loads_failed);
    totals_.units.loaded += units;
    progress.moved.loaded += units;
  } else {
    ++(ok ? totals_.unloads_ok : totals_.unloads_failed);
    totals_.units.unloaded += units;
    progress.moved.unloaded += units;
  }
}

MovedUnits MoveExecutor::MovedBy(base::ShardId shard) const {
  const auto progress = progress_.find(shard);
  return progress == progress_.end() ? MovedUnits() : progress->second.moved;
}

const std::string& MoveExecutor::ProblemOf(base::ShardId shard) const {
  static const std::string none;
  const auto progress = progress_.find(shard);
  return progress == progress_.end() ? none : progress->second.problem;
}

}  // namespace moesaic::placement
