#include "placement/cluster_watch.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"

namespace moesaic::placement {
namespace {

using Kind = EventLog::Kind;

/// A busy cluster hedges all the time; so often is it worth a line.
constexpr absl::Duration kTellSentTwiceEvery = absl::Seconds(30);

std::string Units(std::size_t count) {
  return absl::StrCat(count, count == 1 ? " unit" : " units");
}

/// Units of `lost` that no other live shard holds.
std::size_t HeldByNobodyElse(const Membership& membership, const Member& lost) {
  std::vector<std::uint32_t> left = lost.held;
  for (const auto& [id, member] : membership.members()) {
    if (id == lost.id || member.state != Member::State::kLive) continue;
    left = UnitDifference(left, member.held);
  }
  return left.size();
}

std::string Joined(const Member& member) {
  const std::string& node = member.description.node;
  return absl::StrCat(
      "shard ", member.description.name, " joined", node.empty() ? "" : absl::StrCat(" on ", node),
      member.held.empty() ? "" : absl::StrCat(" and brought ", Units(member.held.size())));
}

std::string BrokeOff(const Membership& membership, const Member& member) {
  const std::string lost =
      absl::StrCat("shard ", member.description.name, " is lost from sight: its connection broke");
  if (member.held.empty()) return lost;
  const std::size_t alone = HeldByNobodyElse(membership, member);
  if (alone == 0) return absl::StrCat(lost, "; all its units live elsewhere too");
  return absl::StrCat(lost, "; ", Units(alone), " had no other holder");
}

}  // namespace

void ClusterWatch::Look(absl::Duration now, const View& view, EventLog& log) {
  LookAtShards(now, view, log);
  LookAtRouters(now, view, log);
  if (view.frozen != frozen_) {
    frozen_ = view.frozen;
    frozen_ ? log.Add(now, Kind::kTrouble,
                      "too many shards fell silent at once to be believed: no replica is taken "
                      "away until they are heard again")
            : log.Add(now, Kind::kRecovery, "silent shards are heard again; replicas may move");
  }
  TellSentTwice(now, log);
}

void ClusterWatch::LookAtShards(absl::Duration now, const View& view, EventLog& log) {
  std::erase_if(shards_, [&](const auto& entry) {
    return view.membership.Find(entry.first) == nullptr;  // another model has begun
  });
  for (const auto& [id, member] : view.membership.members()) {
    const auto [entry, is_new] = shards_.try_emplace(id);
    Seen& seen = entry->second;
    const std::string shard = "shard " + member.description.name;
    const bool restarted = !is_new && seen.incarnation != member.description.incarnation;
    if (is_new) {
      log.Add(now, Kind::kChange, Joined(member));
      seen.moved = {};
    } else if (member.state == Member::State::kLive &&
               (restarted || seen.state != Member::State::kLive)) {
      log.Add(now, Kind::kRecovery,
              absl::StrCat(shard, " came back", restarted ? " as a new process" : ""));
    } else if (member.state == Member::State::kSuspect && seen.state == Member::State::kLive) {
      log.Add(now, Kind::kTrouble, BrokeOff(view.membership, member));
    } else if (member.state == Member::State::kExpired && seen.state != Member::State::kExpired) {
      const bool as_asked = (member.draining || member.evacuating) && member.held.empty();
      log.Add(now, as_asked ? Kind::kChange : Kind::kTrouble,
              absl::StrCat(shard, as_asked ? " has left, as asked"
                                           : " was silent for a lease and counts as lost"));
    }
    if (member.draining && !seen.draining && member.state == Member::State::kLive) {
      log.Add(now, Kind::kChange,
              absl::StrCat(shard, " drains: it finishes what it has and takes no more"));
    }
    const MovedUnits moved = view.moves.MovedBy(id);
    if (moved != seen.moved && member.state == Member::State::kLive &&
        member.held == view.wanted.UnitsOf(id)) {
      log.Add(now, Kind::kChange,
              absl::StrCat(shard, " holds the ", Units(member.held.size()),
                           " it should: ", moved.loaded - seen.moved.loaded, " loaded, ",
                           moved.unloaded - seen.moved.unloaded, " given up"));
      seen.moved = moved;
    }
    seen.state = member.state;
    seen.incarnation = member.description.incarnation;
    seen.draining = member.draining;
  }
}

void ClusterWatch::LookAtRouters(absl::Duration now, const View& view, EventLog& log) {
  const auto connected = [](const auto& routers, const std::string& name) {
    return std::any_of(routers.begin(), routers.end(),
                       [&](const auto& entry) { return entry.second == name; });
  };
  for (const auto& [session, name] : view.routers) {
    if (connected(routers_, name)) continue;
    log.Add(now, Kind::kChange, absl::StrCat("router ", name, " connected"));
  }
  for (const auto& [session, name] : routers_) {
    if (connected(view.routers, name)) continue;
    log.Add(now, Kind::kTrouble, absl::StrCat("router ", name, " is gone: its connection ended"));
    sent_twice_.erase(name);
  }
  routers_ = view.routers;
}

void ClusterWatch::OnRouterLoad(const std::string& router, const RouterLoad& load) {
  if (load.hedges == 0 && load.retried_units == 0) return;
  SentTwice& sent = sent_twice_[router];
  sent.hedges += load.hedges;
  sent.retried_units += load.retried_units;
}

void ClusterWatch::TellSentTwice(absl::Duration now, EventLog& log) {
  for (auto& [router, sent] : sent_twice_) {
    if (sent.hedges + sent.retried_units == 0 || now - sent.told_at < kTellSentTwiceEvery) continue;
    std::string text = absl::StrCat("router ", router);
    if (sent.hedges > 0) {
      absl::StrAppend(&text, " hedged ", sent.hedges,
                      sent.hedges == 1 ? " late dispatch" : " late dispatches");
    }
    if (sent.retried_units > 0) {
      absl::StrAppend(&text, sent.hedges > 0 ? " and" : "", " sent the rows of ",
                      Units(sent.retried_units), " again");
    }
    log.Add(now, Kind::kChange, std::move(text));
    sent = {.told_at = now};
  }
}

}  // namespace moesaic::placement
