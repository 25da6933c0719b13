#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "placement/view/placement_holder.h"
#include "placement/view/topology.h"

namespace grpc {
class ChannelInterface;
class ClientContext;
}  // namespace grpc

namespace moesaic::placement {

/// A router's side of Coordinator.WatchPlacement: adopts what the coordinator publishes into a
/// holder, acknowledges it, remembers it in a file, and reconnects for ever. While the coordinator
/// is away the holder keeps the last placement. Owns one thread, joined by the destructor.
/// Thread-safe.
class PlacementWatcher {
 public:
  struct Options {
    std::string router;      ///< Stable name of this router.
    ModelIdentity model;     ///< What the router computes; other placements are refused.
    std::string state_path;  ///< File of the remembered placement; empty = remember nothing.
    absl::Duration initial_backoff = absl::Milliseconds(100);
    absl::Duration max_backoff = absl::Seconds(1);
  };

  /// Adopts the remembered placement if there is a usable one (a damaged file is logged, not
  /// fatal), then starts watching. `channel` comes from rpc/'s factory; `holder` outlives this.
  /// Errors: InvalidArgument for an empty router name or identity.
  static absl::StatusOr<std::unique_ptr<PlacementWatcher>> Start(
      Options options, std::shared_ptr<grpc::ChannelInterface> channel, PlacementHolder& holder);
  ~PlacementWatcher();

  /// True while a stream to the coordinator is up.
  bool connected() const;
  /// Why the coordinator refused or was lost last; OK when connected or never tried.
  absl::Status last_error() const;

 private:
  PlacementWatcher(Options options, std::shared_ptr<grpc::ChannelInterface> channel,
                   PlacementHolder& holder);
  void AdoptRemembered();
  void Run();
  /// One stream from start to end. Returns why it ended; sets `progressed` when it came up.
  absl::Status WatchOnce(bool& progressed);
  absl::Status Take(const v1::Placement& proto);
  /// Publishes the context so that Stop can cancel it; false when stopping.
  bool BeginStream(grpc::ClientContext& context);
  void MarkConnected();
  void EndStream(absl::Status status);
  /// Sleeps for `delay`; false when stopping.
  bool Pause(absl::Duration delay);

  const Options options_;
  const std::shared_ptr<grpc::ChannelInterface> channel_;
  PlacementHolder& holder_;

  mutable base::Mutex mutex_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace moesaic::placement
