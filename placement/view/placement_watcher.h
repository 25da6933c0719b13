#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "placement/view/load_report.h"
#include "placement/view/placement_holder.h"
#include "placement/view/router_description.h"
#include "placement/view/topology.h"

namespace grpc {
class ChannelInterface;
class ClientContext;
template <typename W, typename R>
class ClientReaderWriterInterface;
}  // namespace grpc

namespace moesaic::placement {

/// A router's side of Coordinator.WatchPlacement: adopts what the coordinator publishes into a
/// holder, acknowledges it, remembers it in a file, reports the load, and reconnects for ever.
/// While the coordinator is away the holder keeps the last placement. Owns its threads, joined by
/// the destructor. Thread-safe.
class PlacementWatcher {
 public:
  struct Options {
    std::string router;   ///< Stable name of this router.
    ModelIdentity model;  ///< What the router computes; other placements are refused.
    RouterDescription description = {};
    std::string state_path;  ///< File of the remembered placement; empty = remember nothing.
    /// What was computed since the last call; called once a `load_interval` while connected. Empty
    /// = nothing is reported.
    std::function<LoadReport()> take_load = {};
    absl::Duration load_interval = absl::Seconds(2);
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
  using Stream = grpc::ClientReaderWriterInterface<v1::WatchRequest, v1::Placement>;

  PlacementWatcher(Options options, std::shared_ptr<grpc::ChannelInterface> channel,
                   PlacementHolder& holder);
  void AdoptRemembered();
  void Run();
  /// One stream from start to end. Returns why it ended; sets `progressed` when it came up.
  absl::Status WatchOnce(bool& progressed);
  absl::Status Take(const v1::Placement& proto);
  /// Takes placements until the stream ends. Errors: those of Take.
  absl::Status TakePlacements(Stream& stream);
  v1::WatchRequest Request(bool with_load) const;
  /// Writes acknowledgements and load reports as they become due, until the stream ends.
  void SendRequests(Stream& stream);
  /// Waits until a message is due. Returns whether a load report is; nullopt at the stream's end.
  std::optional<bool> AwaitDue(absl::Duration load_due);
  /// Publishes the context so that Stop can cancel it; false when stopping.
  bool BeginStream(grpc::ClientContext& context);
  void MarkConnected();
  /// Ends the sender: nothing more is read.
  void NoteBroken();
  void EndStream(absl::Status status);
  /// Sleeps for `delay`; false when stopping.
  bool Pause(absl::Duration delay);

  const Options options_;
  const std::shared_ptr<grpc::ChannelInterface> channel_;
  PlacementHolder& holder_;

  mutable base::Mutex mutex_;
  base::CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;           // the stream, for its sender
  bool acknowledge_due_ ABSL_GUARDED_BY(mutex_) = false;  // a placement was taken
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace moesaic::placement
