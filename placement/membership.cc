#include "placement/membership.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::placement {
namespace {

constexpr std::size_t kMaxMembers = 4096;
/// So many rows have outweighed what was measured at the start.
constexpr std::uint64_t kServedRows = 10'000;

/// Reports come every second; so long a mean is calm, and still of now.
constexpr absl::Duration kBusyTime = absl::Seconds(10);

/// The busy ratio after a report of `busy_seconds` more, `elapsed` after the last.
double BusyRatio(double before, double busy_seconds, absl::Duration elapsed) {
  if (elapsed <= absl::ZeroDuration()) return before;
  const double now = std::clamp(busy_seconds / absl::ToDoubleSeconds(elapsed), 0.0, 1.0);
  const double keep = std::exp(-absl::FDivDuration(elapsed, kBusyTime));
  return keep * before + (1 - keep) * now;
}

std::string Summary(const ExpertTopology& topology) {
  return absl::StrCat(topology.moe_layers.size(), " layers x ", topology.experts_per_layer,
                      " experts, unit size ", topology.unit_size, ", ", topology.unit_bytes,
                      " bytes a unit");
}

}  // namespace

absl::Status Membership::Check(const ShardDescription& description) const {
  if (description.name.empty() || description.address.empty() || description.memory_bytes == 0) {
    return absl::InvalidArgumentError("a registration lacks its name, address or memory_bytes");
  }
  // An empty cluster may start over with another model.
  if (!model_ || present() == 0) return absl::OkStatus();
  MOESAIC_RETURN_IF_ERROR(CheckSameModel(*model_, description.model));
  if (topology_ != description.topology) {
    return absl::FailedPreconditionError(absl::StrCat("topology differs: ours is ",
                                                      Summary(topology_), ", theirs is ",
                                                      Summary(description.topology)));
  }
  return absl::OkStatus();
}

absl::Status Membership::CheckHeld(const ShardNews& news, const ExpertTopology& topology) const {
  if (news.held && !news.held->empty() && news.held->back() >= topology.units_total()) {
    return absl::InvalidArgumentError(
        absl::StrCat("unit ", news.held->back(), " of ", topology.units_total(), " is reported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Membership::Registered> Membership::Register(absl::Duration now, SessionId session,
                                                            ShardDescription description,
                                                            ShardNews news) {
  MOESAIC_RETURN_IF_ERROR(Check(description));
  MOESAIC_RETURN_IF_ERROR(CheckHeld(news, description.topology));
  if (!model_ || (present() == 0 && (!CheckSameModel(*model_, description.model).ok() ||
                                     topology_ != description.topology))) {
    members_.clear();
    model_ = description.model;
    topology_ = description.topology;
  }
  const Member* const known = FindName(description.name);
  Member* member = known == nullptr ? nullptr : &members_.at(known->id);
  if (member == nullptr) {
    if (members_.size() >= kMaxMembers) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", kMaxMembers, " shards have registered"));
    }
    const base::ShardId id(members_.empty() ? 0 : members_.rbegin()->first.value() + 1);
    member = &members_[id];
    member->id = id;
  }
  const Registered registered{.id = member->id, .replaced = member->session};
  if (!news.held) news.held.emplace();
  member->description = std::move(description);
  member->state = Member::State::kLive;
  member->session = session;
  member->evacuating = news.evacuating;
  member->us_per_row = member->description.us_per_row;
  member->us_per_expert = member->description.us_per_expert;
  member->speed_served = false;
  member->busy_ratio = 0;
  member->busy_seconds_total = news.busy_seconds_total;
  Take(now, std::move(news), *member);
  return registered;
}

absl::StatusOr<bool> Membership::Report(absl::Duration now, SessionId session, ShardNews news) {
  const Member* known = FindSession(session);
  if (known == nullptr) return false;
  MOESAIC_RETURN_IF_ERROR(CheckHeld(news, topology_));
  Member& member = members_.at(known->id);
  const bool changed = news.draining != member.draining || (news.held && *news.held != member.held);
  Take(now, std::move(news), member);
  return changed;
}

void Membership::Take(absl::Duration now, ShardNews news, Member& member) {
  member.busy_ratio =
      BusyRatio(member.busy_ratio, news.busy_seconds_total - member.busy_seconds_total,
                now - member.last_heard);
  member.last_heard = now;
  if (news.held) member.held = *std::move(news.held);
  member.held_bytes = news.held_bytes;
  member.draining = news.draining;
  member.expert_rows_total = news.expert_rows_total;
  member.busy_seconds_total = news.busy_seconds_total;
  if (news.us_per_row <= 0 && news.us_per_expert <= 0) return;
  member.us_per_row = news.us_per_row;
  member.us_per_expert = news.us_per_expert;
  member.speed_served = news.expert_rows_total > kServedRows;
}

void Membership::Disconnect(absl::Duration now, SessionId session) {
  const Member* known = FindSession(session);
  if (known == nullptr) return;
  Member& member = members_.at(known->id);
  member.session = 0;
  const bool has_left = (member.draining || member.evacuating) && member.held.empty();
  member.state = has_left ? Member::State::kExpired : Member::State::kSuspect;
  member.suspect_since = now;
}

std::vector<Membership::Expiry> Membership::Expire(absl::Duration now) {
  std::vector<Expiry> expired;
  for (auto& [id, member] : members_) {
    if (member.state == Member::State::kExpired || !IsSilent(member, now)) continue;
    expired.push_back({.id = id, .session = std::exchange(member.session, 0)});
    member.state = Member::State::kExpired;
    member.held.clear();
    member.held_bytes = 0;
  }
  return expired;
}

void Membership::Forgive(absl::Duration now) {
  for (auto& [id, member] : members_) {
    if (member.state != Member::State::kExpired) member.last_heard = now;
  }
}

std::uint32_t Membership::silent(absl::Duration now) const {
  return static_cast<std::uint32_t>(
      std::count_if(members_.begin(), members_.end(), [&](const auto& entry) {
        return entry.second.state != Member::State::kExpired && IsSilent(entry.second, now);
      }));
}

const Member* Membership::Find(base::ShardId id) const {
  const auto found = members_.find(id);
  return found == members_.end() ? nullptr : &found->second;
}

const Member* Membership::FindSession(SessionId session) const {
  if (session == 0) return nullptr;
  for (const auto& [id, member] : members_) {
    if (member.session == session) return &member;
  }
  return nullptr;
}

const Member* Membership::FindName(const std::string& name) const {
  for (const auto& [id, member] : members_) {
    if (member.description.name == name) return &member;
  }
  return nullptr;
}

std::uint32_t Membership::present() const {
  return static_cast<std::uint32_t>(std::count_if(
      members_.begin(), members_.end(),
      [](const auto& entry) { return entry.second.state != Member::State::kExpired; }));
}

}  // namespace moesaic::placement
