#pragma once

#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "placement/view/topology.h"
#include "rpc/credentials.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace moesaic::router {

/// Finds out who holds what by asking the shards themselves (ExpertShard.Describe), for when the
/// placement knows no live holder of a unit and the coordinator is away. One search at a time, on a
/// thread of its own, shard after shard. Thread-safe.
class HolderSearch {
 public:
  struct Target {
    base::ShardId id;
    std::string address;
  };
  /// What one shard holds now. Called on the search's thread.
  using Found = std::function<void(base::ShardId, std::vector<placement::UnitKey>)>;

  /// `pause`: time between the end of a search and the next one.
  HolderSearch(rpc::Credentials credentials, absl::Duration pause, Found found);
  ~HolderSearch();

  /// Asks all `targets`, soon; nothing when a search is under way or has just been made. Does not
  /// block.
  void Request(std::vector<Target> targets, placement::ExpertTopology topology);
  /// Ends the search; `found` is not called any more. Idempotent; not on the search's thread.
  void Stop();

 private:
  struct Search {
    std::vector<Target> targets;
    placement::ExpertTopology topology;
  };
  void Run();
  void Ask(const Target& target, const placement::ExpertTopology& topology);
  bool Begin(grpc::ClientContext& context);
  void End();

  const rpc::Credentials credentials_;
  const absl::Duration pause_;
  const Found found_;

  base::Mutex mutex_;
  base::CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<Search> wanted_ ABSL_GUARDED_BY(mutex_);
  absl::Duration not_before_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;

  std::thread thread_;
};

}  // namespace moesaic::router
