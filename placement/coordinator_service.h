#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "base/loop.h"
#include "placement/cluster_view.h"
#include "placement/coordinator.h"
#include "placement/stream_session.h"
#include "proto/moesaic/v1/coordinator.grpc.pb.h"

namespace moesaic::placement {

/// gRPC's face of a Coordinator: streams become sessions, messages plain structs, and everything is
/// done on the loop. Thread-safe.
class CoordinatorService final : public v1::Coordinator::CallbackService {
 public:
  /// Borrowed; `coordinator` and `view` are touched on `loop` only.
  CoordinatorService(base::Loop& loop, Coordinator& coordinator, ClusterView& view);

  grpc::ServerBidiReactor<v1::ShardReport, v1::ShardDirective>* Register(
      grpc::CallbackServerContext* context) override;
  grpc::ServerBidiReactor<v1::WatchRequest, v1::Placement>* WatchPlacement(
      grpc::CallbackServerContext* context) override;
  grpc::ServerUnaryReactor* DescribeCluster(grpc::CallbackServerContext* context,
                                            const v1::DescribeClusterRequest* request,
                                            v1::DescribeClusterResponse* response) override;
  grpc::ServerUnaryReactor* EvacuateShard(grpc::CallbackServerContext* context,
                                          const v1::EvacuateShardRequest* request,
                                          v1::EvacuateShardResponse* response) override;
  grpc::ServerUnaryReactor* ExpectShards(grpc::CallbackServerContext* context,
                                         const v1::ExpectShardsRequest* request,
                                         v1::ExpectShardsResponse* response) override;
  grpc::ServerUnaryReactor* Rebalance(grpc::CallbackServerContext* context,
                                      const v1::RebalanceRequest* request,
                                      v1::RebalanceResponse* response) override;

 private:
  using ShardSession = StreamSession<v1::ShardReport, v1::ShardDirective>;
  using RouterSession = StreamSession<v1::WatchRequest, v1::Placement>;

  // On the loop. The first message of a stream registers, later ones report.
  void OnReport(SessionId id, const std::shared_ptr<ShardSession>& session, bool first,
                const v1::ShardReport& report);
  void OnWatchRequest(SessionId id, const std::shared_ptr<RouterSession>& session, bool first,
                      const v1::WatchRequest& request);
  /// Runs `answer` on the loop and ends the call with its status.
  grpc::ServerUnaryReactor* AnswerOnLoop(grpc::CallbackServerContext& context,
                                         std::function<absl::Status()> answer);

  base::Loop& loop_;
  Coordinator& coordinator_;
  ClusterView& view_;
  std::atomic<SessionId> last_session_{0};
};

}  // namespace moesaic::placement
