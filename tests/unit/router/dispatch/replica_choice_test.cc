#include "router/dispatch/replica_choice.h"

#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

constexpr auto kGood = ReplicaStanding::kGood;
constexpr auto kDraining = ReplicaStanding::kDraining;
constexpr auto kSuspect = ReplicaStanding::kSuspect;

ReplicaLoad Replica(std::uint32_t id, int completion_us, ReplicaStanding standing = kGood,
                    int cost_us = 0) {
  return {base::ShardId(id), standing, absl::Microseconds(completion_us),
          absl::Microseconds(cost_us)};
}

TEST(ReplicaChoiceTest, Table) {
  const struct {
    std::vector<ReplicaLoad> replicas;
    std::optional<std::size_t> chosen;
    const char* why;
  } cases[] = {
      {{}, std::nullopt, "nobody"},
      {{Replica(3, 100)}, 0, "the only one"},
      {{Replica(1, 5), Replica(2, 4)}, 1, "the earlier"},
      {{Replica(2, 4), Replica(1, 4)}, 1, "lowest id on a tie"},
      {{Replica(1, 310, kGood, 5), Replica(2, 305, kGood, 305)}, 0, "hardly later, much cheaper"},
      {{Replica(1, 0, kDraining), Replica(2, 9)}, 1, "draining last"},
      {{Replica(1, 0, kSuspect), Replica(2, 9, kDraining)}, 1, "a suspect after that"},
      {{Replica(1, 7, kSuspect), Replica(2, 3, kSuspect)}, 1, "a suspect is better than nobody"},
  };
  for (const auto& c : cases) {
    for (std::uint64_t random = 0; random < 8; ++random) {
      EXPECT_EQ(ChooseReplica(c.replicas, random * 0x100000001u), c.chosen) << c.why;
    }
  }
}

TEST(ReplicaChoiceTest, TheBetterOfTwoRandomOnes) {
  const std::vector<ReplicaLoad> replicas = {Replica(0, 1), Replica(1, 2), Replica(2, 3),
                                             Replica(3, 4)};
  std::set<std::size_t> chosen;
  for (std::uint64_t first = 0; first < 4; ++first) {
    for (std::uint64_t second = 0; second < 3; ++second) {
      const auto choice = ChooseReplica(replicas, second << 32 | first);
      ASSERT_EQ(choice, ChooseReplica(replicas, second << 32 | first)) << "the same bits, the same";
      chosen.insert(*choice);
    }
  }
  EXPECT_EQ(chosen, (std::set<std::size_t>{0, 1, 2})) << "any but the worst";
}

}  // namespace
}  // namespace moesaic::router
