#include "router/dispatch/replica_choice.h"

#include <vector>

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

ReplicaLoad Replica(std::uint32_t id, std::uint64_t rows, bool draining = false) {
  return {base::ShardId(id), rows, draining};
}

TEST(ReplicaChoiceTest, Table) {
  const struct {
    std::vector<ReplicaLoad> replicas;
    std::optional<std::size_t> chosen;
    const char* why;
  } cases[] = {
      {{}, std::nullopt, "nobody"},
      {{Replica(3, 100)}, 0, "the only one"},
      {{Replica(1, 5), Replica(2, 4)}, 1, "least in flight"},
      {{Replica(2, 4), Replica(1, 4)}, 1, "lowest id on a tie"},
      {{Replica(1, 0, true), Replica(2, 9)}, 1, "draining last"},
      {{Replica(1, 7, true), Replica(2, 3, true)}, 1, "draining is better than nobody"},
  };
  for (const auto& c : cases) EXPECT_EQ(ChooseReplica(c.replicas), c.chosen) << c.why;
}

}  // namespace
}  // namespace moesaic::router
