#include "router/dispatch/dispatch_plan.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "rpc/dispatch_wire.h"
#include "rpc/wire_convert.h"

namespace moesaic::router {
namespace {

/// The assignment lists of a message, in (row, expert) order.
struct AssignmentLists {
  std::vector<std::uint32_t> row_index;
  std::vector<std::uint32_t> expert_id;
  std::vector<float> weight;
};

AssignmentLists ListAssignments(const InFlightDispatch& plan) {
  AssignmentLists lists;
  std::uint32_t row = 0;
  for (const std::int32_t slot : plan.slots) {
    while (plan.tokens[row] != plan.call->token_of(slot)) ++row;
    const auto experts = plan.call->experts_of(slot);
    const auto weights = plan.call->weights_of(slot);
    lists.row_index.insert(lists.row_index.end(), experts.size(), row);
    lists.expert_id.insert(lists.expert_id.end(), experts.begin(), experts.end());
    lists.weight.insert(lists.weight.end(), weights.begin(), weights.end());
  }
  return lists;
}

/// Microseconds until the latest deadline among the rows, at least 1; 0 = no limit.
std::uint64_t RemainingMicros(const InFlightDispatch& plan, absl::Duration now) {
  absl::Duration latest = -absl::InfiniteDuration();
  for (const std::int32_t token : plan.tokens) {
    latest = std::max(latest, plan.call->call().deadlines[token]);
  }
  if (latest == absl::InfiniteDuration()) return 0;
  return static_cast<std::uint64_t>(
      std::max<std::int64_t>(1, absl::ToInt64Microseconds(latest - now)));
}

}  // namespace

std::vector<InFlightDispatch> CutIntoMessages(const ExpertCallState& call,
                                              absl::Span<const std::int32_t> slots,
                                              rpc::WireDtype dtype) {
  std::vector<InFlightDispatch> messages;
  const int hidden_size = call.call().hidden_size;
  std::size_t assignments = 0;
  for (std::size_t begin = 0; begin < slots.size();) {
    const std::int32_t token = call.token_of(slots[begin]);
    std::size_t end = begin;
    std::size_t row_assignments = 0;
    for (; end < slots.size() && call.token_of(slots[end]) == token; ++end) {
      row_assignments += call.experts_of(slots[end]).size();
    }
    if (messages.empty() ||
        rpc::DispatchBytesBound(messages.back().tokens.size() + 1, assignments + row_assignments,
                                hidden_size, dtype) > rpc::kMaxMessageBytes) {
      messages.emplace_back();
      assignments = 0;
    }
    InFlightDispatch& message = messages.back();
    message.tokens.push_back(token);
    message.slots.insert(message.slots.end(), slots.begin() + begin, slots.begin() + end);
    assignments += row_assignments;
    message.bytes = rpc::DispatchBytesBound(message.tokens.size(), assignments, hidden_size, dtype);
    begin = end;
  }
  return messages;
}

ShardWork WorkOf(const InFlightDispatch& plan) {
  ShardWork work;
  absl::flat_hash_set<std::uint32_t> experts;
  for (const std::int32_t slot : plan.slots) {
    const auto of_slot = plan.call->experts_of(slot);
    work.rows += static_cast<std::uint32_t>(of_slot.size());
    experts.insert(of_slot.begin(), of_slot.end());
  }
  work.experts = static_cast<std::uint32_t>(experts.size());
  return work;
}

namespace {

/// The traces among its rows, each once; more than a message may have are left out.
std::vector<monitoring::TraceId> TraceIdsOf(const InFlightDispatch& plan) {
  std::vector<monitoring::TraceId> ids;
  const auto traced = plan.call->call().trace_ids;
  if (traced.empty()) return ids;
  for (const std::int32_t token : plan.tokens) {
    if (traced[token] == nullptr || ids.size() == rpc::kMaxTraceIds) continue;
    if (std::find(ids.begin(), ids.end(), *traced[token]) == ids.end()) {
      ids.push_back(*traced[token]);
    }
  }
  return ids;
}

}  // namespace

absl::Status SendPlanned(const InFlightDispatch& plan, base::PlacementEpoch epoch,
                         rpc::WireDtype dtype, absl::Duration now, rpc::BufferPool& pool) {
  const ExpertCall& call = plan.call->call();
  const std::size_t row_bytes = call.hidden_size * rpc::WireDtypeBytes(dtype);
  const std::size_t scales_per_row =
      dtype == rpc::WireDtype::kFp8E4M3 ? rpc::Fp8ScalesPerRow(call.hidden_size) : 0;
  const std::size_t rows_bytes = plan.tokens.size() * row_bytes;
  const std::size_t scales_at = (rows_bytes + sizeof(float) - 1) / sizeof(float) * sizeof(float);
  const std::size_t scales = plan.tokens.size() * scales_per_row;
  rpc::PooledBuffer storage = pool.Take(scales_at + scales * sizeof(float));
  auto* scale_data = reinterpret_cast<float*>(storage.data() + scales_at);
  for (std::size_t r = 0; r < plan.tokens.size(); ++r) {
    rpc::EncodeWireRow(call.rows, plan.tokens[r], dtype, storage.data() + r * row_bytes,
                       scale_data + r * scales_per_row);
  }
  const AssignmentLists lists = ListAssignments(plan);
  const rpc::Dispatch dispatch{
      .dispatch_id = plan.id,
      .layer = call.layer,
      .epoch = epoch,
      .dtype = dtype,
      .remaining_us = RemainingMicros(plan, now),
      .row_count = static_cast<std::uint32_t>(plan.tokens.size()),
      .rows = {storage.data(), rows_bytes},
      .scales = {scale_data, scales},
      .row_index = lists.row_index,
      .expert_id = lists.expert_id,
      .weight = lists.weight,
      .adapter_id = {},
      .trace_ids = TraceIdsOf(plan),
      .storage = storage,
  };
  return plan.link->stream(plan.lane).client->Send(dispatch);
}

}  // namespace moesaic::router
