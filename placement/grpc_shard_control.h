#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "base/loop.h"
#include "base/mutex.h"
#include "placement/shard_control.h"
#include "rpc/channel_factory.h"

namespace grpc {
class ClientContext;
}  // namespace grpc

namespace moesaic::placement {

/// ShardControl over gRPC. Load and Unload are called on the loop; completions come back to it.
/// The destructor waits for calls in flight, which CancelAll ends. Single-thread but for what gRPC
/// completes.
class GrpcShardControl final : public ShardControl {
 public:
  /// `loop` is borrowed.
  explicit GrpcShardControl(base::Loop& loop);
  ~GrpcShardControl() override;

  void Load(const std::string& address, base::PlacementEpoch epoch,
            const std::vector<UnitKey>& units, Done done) override;
  void Unload(const std::string& address, base::PlacementEpoch epoch,
              const std::vector<UnitKey>& units, Done done) override;
  /// Cancels what is in flight and refuses what follows. Any thread.
  void CancelAll();

 private:
  template <typename Request, typename Response>
  struct Call;

  /// The channel to `address`, made on first use and kept.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> ChannelTo(const std::string& address);
  template <typename Request, typename Response, typename Start>
  void Run(const std::string& address, base::PlacementEpoch epoch,
           const std::vector<UnitKey>& units, Done done, Start start);
  /// Notes a call in flight so that CancelAll reaches it; false when cancelled already.
  bool Begin(grpc::ClientContext& context);
  /// Forgets the call and posts `rest`, which owns it, to the loop.
  void End(const grpc::ClientContext& context, absl::AnyInvocable<void()> rest);

  base::Loop& loop_;
  std::map<std::string, std::shared_ptr<grpc::Channel>> channels_;

  base::Mutex mutex_;
  base::CondVar idle_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<grpc::ClientContext*> in_flight_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::placement
