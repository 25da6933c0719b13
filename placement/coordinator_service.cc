#include "placement/coordinator_service.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "placement/describe_cluster.h"
#include "placement/view/node_share_proto.h"
#include "rpc/status_map.h"

namespace moesaic::placement {
namespace {

absl::Status CheckSpeed(double us_per_row, double us_per_expert) {
  const auto valid = [](double us) { return std::isfinite(us) && us >= 0; };
  if (valid(us_per_row) && valid(us_per_expert)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("us_per_row ", us_per_row, " or us_per_expert ",
                                                 us_per_expert, " is not a time"));
}

absl::StatusOr<ShardDescription> DescriptionFromProto(const v1::ShardRegistration& proto) {
  ShardDescription description{.name = proto.shard(),
                               .address = proto.address(),
                               .incarnation = proto.incarnation(),
                               .model = IdentityFromProto(proto.model()),
                               .topology = {},
                               .memory_bytes = proto.memory_bytes(),
                               .node = proto.node(),
                               .zone = proto.zone(),
                               .node_share = {},
                               .http_address = proto.http_address(),
                               .device_kind = proto.device_kind(),
                               .us_per_row = proto.us_per_row(),
                               .us_per_expert = proto.us_per_expert(),
                               .build = proto.build()};
  MOESAIC_RETURN_IF_ERROR(CheckSpeed(proto.us_per_row(), proto.us_per_expert()));
  MOESAIC_ASSIGN_OR_RETURN(description.node_share, NodeShareFromProto(proto));
  MOESAIC_ASSIGN_OR_RETURN(description.topology, TopologyFromProto(proto.topology()));
  return description;
}

absl::StatusOr<ShardNews> NewsFromProto(const v1::ShardReport& proto,
                                        const ExpertTopology& topology) {
  MOESAIC_RETURN_IF_ERROR(CheckSpeed(proto.us_per_row(), proto.us_per_expert()));
  ShardNews news{.epoch = EpochFromProto(proto.epoch()),
                 .held = std::nullopt,
                 .held_bytes = proto.held_bytes(),
                 .draining = proto.draining(),
                 .evacuating = proto.evacuating(),
                 .expert_rows_total = proto.expert_rows_total(),
                 .busy_seconds_total = proto.busy_seconds_total(),
                 .us_per_row = proto.us_per_row(),
                 .us_per_expert = proto.us_per_expert()};
  if (!proto.held_units_valid()) return news;
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<UnitKey> held,
                           UnitsFromProto(proto.held_units(), topology));
  news.held.emplace();
  for (const UnitKey& key : held) news.held->push_back(topology.NumberOf(key));
  std::sort(news.held->begin(), news.held->end());
  return news;
}

v1::ShardDirective DirectiveToProto(const Coordinator::Directive& directive) {
  v1::ShardDirective proto;
  proto.set_shard_id(directive.shard.value());
  proto.set_lease_ms(static_cast<std::uint32_t>(absl::ToInt64Milliseconds(directive.lease)));
  proto.set_heartbeat_ms(
      static_cast<std::uint32_t>(absl::ToInt64Milliseconds(directive.heartbeat)));
  *proto.mutable_epoch() = EpochToProto(directive.epoch);
  proto.set_evacuate(directive.evacuate);
  return proto;
}

}  // namespace

CoordinatorService::CoordinatorService(base::Loop& loop, Coordinator& coordinator,
                                       ClusterView& view)
    : loop_(loop), coordinator_(coordinator), view_(view) {}

grpc::ServerBidiReactor<v1::ShardReport, v1::ShardDirective>* CoordinatorService::Register(
    grpc::CallbackServerContext*) {
  const SessionId id = ++last_session_;
  return ShardSession::Start([this, id](std::shared_ptr<ShardSession> session) {
           return ShardSession::Events{
               .received =
                   [this, id, session, first = true](v1::ShardReport report) mutable {
                     return loop_
                         .Post(
                             [this, id, session, first = std::exchange(first, false),
                              report = std::move(report)] { OnReport(id, session, first, report); })
                         .ok();
                   },
               .closed =
                   [this, id] {
                     loop_.PostCompletion([this, id] { coordinator_.RemoveShard(id); });
                   }};
         })
      .get();
}

void CoordinatorService::OnReport(SessionId id, const std::shared_ptr<ShardSession>& session,
                                  bool first, const v1::ShardReport& report) {
  const auto take = [&]() -> absl::Status {
    if (!first) {
      if (!coordinator_.membership().model()) return absl::OkStatus();
      MOESAIC_ASSIGN_OR_RETURN(ShardNews news,
                               NewsFromProto(report, coordinator_.membership().topology()));
      return coordinator_.Report(id, std::move(news));
    }
    MOESAIC_ASSIGN_OR_RETURN(ShardDescription description,
                             DescriptionFromProto(report.registration()));
    MOESAIC_ASSIGN_OR_RETURN(ShardNews news, NewsFromProto(report, description.topology));
    return coordinator_.AddShard(
        id, std::move(description), std::move(news),
        {.send =
             [session](const Coordinator::Directive& directive) {
               session->Send(DirectiveToProto(directive));
             },
         .end =
             [session](const absl::Status& status) { session->End(rpc::ToGrpcStatus(status)); }});
  };
  if (const absl::Status taken = take(); !taken.ok()) session->End(rpc::ToGrpcStatus(taken));
}

grpc::ServerBidiReactor<v1::WatchRequest, v1::Placement>* CoordinatorService::WatchPlacement(
    grpc::CallbackServerContext*) {
  const SessionId id = ++last_session_;
  return RouterSession::Start([this, id](std::shared_ptr<RouterSession> session) {
           return RouterSession::Events{
               .received =
                   [this, id, session, first = true](v1::WatchRequest request) mutable {
                     return loop_
                         .Post([this, id, session, first = std::exchange(first, false),
                                request = std::move(request)] {
                           OnWatchRequest(id, session, first, request);
                         })
                         .ok();
                   },
               .closed =
                   [this, id] {
                     loop_.PostCompletion([this, id] { coordinator_.RemoveRouter(id); });
                   }};
         })
      .get();
}

void CoordinatorService::OnWatchRequest(SessionId id, const std::shared_ptr<RouterSession>& session,
                                        bool first, const v1::WatchRequest& request) {
  const base::PlacementEpoch acknowledged = EpochFromProto(request.acknowledged());
  if (!first) {
    coordinator_.Acknowledge(id, acknowledged);
    const absl::Status taken =
        request.has_load() ? coordinator_.TakeLoad(id, request.load()) : absl::OkStatus();
    if (!taken.ok()) session->End(rpc::ToGrpcStatus(taken));
    return;
  }
  absl::StatusOr<RouterDescription> description =
      RouterDescriptionFromProto(request.registration());
  if (!description.ok()) return session->End(rpc::ToGrpcStatus(description.status()));
  const absl::Status added = coordinator_.AddRouter(
      id, request.router(), IdentityFromProto(request.model()), acknowledged,
      {.send =
           [session](const std::shared_ptr<const PlacementMap>& map) {
             session->Send(map->ToProto());
           },
       .end = [session](const absl::Status& status) { session->End(rpc::ToGrpcStatus(status)); }},
      *std::move(description));
  if (!added.ok()) session->End(rpc::ToGrpcStatus(added));
}

grpc::ServerUnaryReactor* CoordinatorService::AnswerOnLoop(grpc::CallbackServerContext& context,
                                                           std::function<absl::Status()> answer) {
  grpc::ServerUnaryReactor* const reactor = context.DefaultReactor();
  const absl::Status posted = loop_.Post(
      [reactor, answer = std::move(answer)] { reactor->Finish(rpc::ToGrpcStatus(answer())); });
  if (!posted.ok()) reactor->Finish(rpc::ToGrpcStatus(posted));
  return reactor;
}

grpc::ServerUnaryReactor* CoordinatorService::DescribeCluster(
    grpc::CallbackServerContext* context, const v1::DescribeClusterRequest*,
    v1::DescribeClusterResponse* response) {
  return AnswerOnLoop(*context, [this, response]() -> absl::Status {
    *response = view_.Describe();
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::EvacuateShard(grpc::CallbackServerContext* context,
                                                            const v1::EvacuateShardRequest* request,
                                                            v1::EvacuateShardResponse* response) {
  return AnswerOnLoop(*context, [this, request, response]() -> absl::Status {
    MOESAIC_ASSIGN_OR_RETURN(const Member* const member,
                             coordinator_.Evacuate(request->shard(), !request->cancel()));
    response->set_address(member->description.address);
    response->set_held_units(static_cast<std::uint32_t>(member->held.size()));
    for (const std::uint32_t unit : member->held) {
      const bool no_room = coordinator_.wanted().HoldersOf(unit).empty();
      response->set_units_without_room(response->units_without_room() + (no_room ? 1 : 0));
    }
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::ExpectShards(grpc::CallbackServerContext* context,
                                                           const v1::ExpectShardsRequest* request,
                                                           v1::ExpectShardsResponse*) {
  return AnswerOnLoop(*context, [this, request]() -> absl::Status {
    coordinator_.Expect(request->shards());
    return absl::OkStatus();
  });
}

grpc::ServerUnaryReactor* CoordinatorService::Rebalance(grpc::CallbackServerContext* context,
                                                        const v1::RebalanceRequest* request,
                                                        v1::RebalanceResponse* response) {
  return AnswerOnLoop(*context, [this, request, response]() -> absl::Status {
    MOESAIC_ASSIGN_OR_RETURN(const Coordinator::Plan plan, coordinator_.MakePlan());
    *response = DescribePlan(coordinator_, plan);
    if (!request->dry_run()) coordinator_.Rebalance();
    return absl::OkStatus();
  });
}

}  // namespace moesaic::placement
