#include "shard/ffn_executor.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "base/status_macros.h"
#include "kernels/expert_ffn.h"
#include "rpc/wire_convert.h"

namespace moesaic::shard {
namespace {

/// Rows per ParallelFor body: enough that handing one out costs less than converting it.
constexpr std::int64_t kRowsPerTask = 16;

absl::Status EnsureBytes(base::Buffer& buffer, std::size_t bytes) {
  if (buffer.bytes() >= bytes) return absl::OkStatus();
  buffer = base::Buffer();  // the old one first: both at once may not fit
  MOESAIC_ASSIGN_OR_RETURN(buffer, base::Buffer::Allocate(std::bit_ceil(bytes)));
  return absl::OkStatus();
}

bool SameElements(rpc::WireDtype wire, base::DType compute) {
  return (wire == rpc::WireDtype::kF32 && compute == base::DType::kF32) ||
         (wire == rpc::WireDtype::kBF16 && compute == base::DType::kBF16);
}

/// Calls body(begin, end) for chunks of [0, rows).
void ForRowChunks(base::ComputePool& pool, std::int64_t rows,
                  absl::FunctionRef<void(std::int64_t, std::int64_t)> body) {
  const std::int64_t chunks = (rows + kRowsPerTask - 1) / kRowsPerTask;
  pool.ParallelFor(chunks, [&](std::int64_t chunk) {
    body(chunk * kRowsPerTask, std::min(rows, (chunk + 1) * kRowsPerTask));
  });
}

/// Converts rows [begin, end) of a dispatch into `out`, [row_count, hidden] of `compute`.
void ConvertRows(const rpc::Dispatch& dispatch, std::int64_t begin, std::int64_t end,
                 std::int64_t hidden, base::DType compute, std::byte* out) {
  const std::size_t wire_row = static_cast<std::size_t>(hidden) * WireDtypeBytes(dispatch.dtype);
  const std::size_t out_row = static_cast<std::size_t>(hidden) * base::DTypeBytes(compute);
  if (SameElements(dispatch.dtype, compute)) {
    std::memcpy(out + begin * out_row, dispatch.rows.data() + begin * wire_row,
                static_cast<std::size_t>(end - begin) * wire_row);
    return;
  }
  const std::size_t scales_per_row =
      dispatch.scales.empty() ? 0 : rpc::Fp8ScalesPerRow(static_cast<int>(hidden));
  const auto elements = static_cast<std::size_t>(hidden);
  for (std::int64_t r = begin; r < end; ++r) {
    const auto row = dispatch.rows.subspan(r * wire_row, wire_row);
    const float* const scales = dispatch.scales.data() + r * scales_per_row;
    std::byte* const to = out + r * out_row;
    if (compute == base::DType::kF32) {
      rpc::DecodeWireRow(row, dispatch.dtype, scales,
                         absl::MakeSpan(reinterpret_cast<float*>(to), elements));
    } else {
      rpc::DecodeWireRow(row, dispatch.dtype, scales,
                         absl::MakeSpan(reinterpret_cast<std::uint16_t*>(to), elements));
    }
  }
}

std::uint64_t Microseconds(absl::Duration duration) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, absl::ToInt64Microseconds(duration)));
}

}  // namespace

FfnExecutor::FfnExecutor(Options options, base::ComputePool& compute, rpc::BufferPool& replies,
                         const base::Clock& clock)
    : options_(std::move(options)), replies_(replies), clock_(clock), stream_(compute) {}

void FfnExecutor::Compute(std::vector<Work> works, std::shared_ptr<const HeldUnits> held, bool here,
                          Done done) {
  stream_.RunHere(here);
  batch_ = InProgress{};
  batch_.works = std::move(works);
  batch_.held = std::move(held);
  batch_.done = std::move(done);
  batch_.started = clock_.Monotonic();
  batch_.plan = PlanBatch(batch_.works, *batch_.held, options_.topology);
  PrepareReplies();
  absl::Status launched = absl::OkStatus();
  if (batch_.plan.slots() > 0) launched = Launch();
  stream_.OnComplete([this, launched] { Finish(launched); });
}

absl::Status FfnExecutor::Launch() {
  const FfnPlan& plan = batch_.plan;
  MOESAIC_RETURN_IF_ERROR(PlaceInput());
  MOESAIC_RETURN_IF_ERROR(EnsureBytes(y_, plan.slots() * options_.hidden_size * sizeof(float)));
  batch_.y = y_.View(base::DType::kF32, {plan.slots(), options_.hidden_size});
  const std::size_t workspace_bytes = kernels::ExpertFfnWorkspaceBytes(
      plan.rows, options_.hidden_size, static_cast<std::int64_t>(plan.entries.size()),
      options_.intermediate_size);
  MOESAIC_RETURN_IF_ERROR(EnsureBytes(workspace_, workspace_bytes));

  const kernels::ExpertFfnArgs args{.x = batch_.x, .groups = plan.groups, .y = batch_.y};
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      args, workspace_.View(base::DType::kU8, {static_cast<std::int64_t>(workspace_.bytes())}),
      stream_));
  stream_.Enqueue([this](base::ComputePool& pool) { EncodeResults(pool); });
  return absl::OkStatus();
}

absl::Status FfnExecutor::PlaceInput() {
  const rpc::Dispatch& first = batch_.works.front().dispatch;
  const std::int64_t rows = batch_.plan.rows;
  if (batch_.works.size() == 1 && SameElements(first.dtype, options_.compute_dtype)) {
    batch_.x = base::TensorView(const_cast<std::byte*>(first.rows.data()), options_.compute_dtype,
                                {rows, options_.hidden_size});
    return absl::OkStatus();
  }
  MOESAIC_RETURN_IF_ERROR(EnsureBytes(x_, static_cast<std::size_t>(rows * options_.hidden_size) *
                                              base::DTypeBytes(options_.compute_dtype)));
  batch_.x = x_.View(options_.compute_dtype, {rows, options_.hidden_size});
  stream_.Enqueue([this](base::ComputePool& pool) { StackRows(pool); });
  return absl::OkStatus();
}

void FfnExecutor::StackRows(base::ComputePool& pool) {
  const std::size_t row_bytes =
      static_cast<std::size_t>(options_.hidden_size) * base::DTypeBytes(options_.compute_dtype);
  for (std::size_t i = 0; i < batch_.works.size(); ++i) {
    const rpc::Dispatch& dispatch = batch_.works[i].dispatch;
    std::byte* const out = batch_.x.As<std::byte>() + batch_.plan.parts[i].row_begin * row_bytes;
    ForRowChunks(pool, dispatch.row_count, [&](std::int64_t begin, std::int64_t end) {
      ConvertRows(dispatch, begin, end, options_.hidden_size, options_.compute_dtype, out);
    });
  }
}

void FfnExecutor::PrepareReplies() {
  const FfnPlan& plan = batch_.plan;
  for (std::size_t i = 0; i < batch_.works.size(); ++i) {
    const Work& work = batch_.works[i];
    const FfnPlan::Part& part = plan.parts[i];
    rpc::DispatchReply reply;
    reply.dispatch_id = work.dispatch.dispatch_id;
    reply.dtype = rpc::ReplyDtype(work.dispatch.dtype);
    reply.missing_units = part.missing_units;
    reply.queue_wait_us = Microseconds(batch_.started - work.received);
    reply.batch_rows = static_cast<std::uint32_t>(plan.entries.size());
    const std::size_t rows_bytes = std::size_t{part.slot_count} *
                                   static_cast<std::size_t>(options_.hidden_size) *
                                   rpc::WireDtypeBytes(reply.dtype);
    // Rows, then the two lists; rows of an odd hidden size must not misalign what follows.
    const std::size_t lists_at = (rows_bytes + 63) / 64 * 64;
    const std::size_t list_bytes = sizeof(std::uint32_t) * part.slot_count;
    reply.storage = replies_.Take(lists_at + 2 * list_bytes);
    auto* const rows = reinterpret_cast<std::uint32_t*>(reply.storage.data() + lists_at);
    std::uint32_t* const units = rows + part.slot_count;
    std::copy_n(plan.slot_row.begin() + part.slot_begin, part.slot_count, rows);
    std::copy_n(plan.slot_unit.begin() + part.slot_begin, part.slot_count, units);
    reply.rows = {reply.storage.data(), rows_bytes};
    reply.row_index = {rows, part.slot_count};
    reply.unit_id = {units, part.slot_count};
    batch_.replies.push_back(std::move(reply));
  }
}

void FfnExecutor::EncodeResults(base::ComputePool& pool) {
  const auto hidden = static_cast<std::size_t>(options_.hidden_size);
  for (std::size_t i = 0; i < batch_.replies.size(); ++i) {
    const FfnPlan::Part& part = batch_.plan.parts[i];
    const rpc::WireDtype dtype = batch_.replies[i].dtype;
    const std::size_t row_bytes = hidden * rpc::WireDtypeBytes(dtype);
    std::byte* const out = batch_.replies[i].storage.data();
    const float* const from = batch_.y.As<float>() + part.slot_begin * hidden;
    ForRowChunks(pool, part.slot_count, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t slot = begin; slot < end; ++slot) {
        rpc::EncodeResultRow({from + slot * hidden, hidden}, dtype, out + slot * row_bytes);
      }
    });
  }
}

void FfnExecutor::Finish(const absl::Status& status) {
  InProgress batch = std::exchange(batch_, InProgress{});
  const absl::Duration compute = clock_.Monotonic() - batch.started;
  if (!status.ok()) base::LogError("a batch was not computed: ", status.ToString());
  Outcome outcome;
  outcome.expert_rows = status.ok() ? batch.plan.entries.size() : 0;
  outcome.experts = status.ok() ? static_cast<std::uint32_t>(batch.plan.groups.size()) : 0;
  outcome.compute = compute;
  for (std::size_t i = 0; i < batch.works.size(); ++i) {
    rpc::DispatchReply reply = std::move(batch.replies[i]);
    reply.compute_us = Microseconds(compute);
    if (!status.ok()) {
      reply = {};
      reply.dispatch_id = batch.works[i].dispatch.dispatch_id;
      reply.code = rpc::DispatchCode::kInternal;
      reply.error = std::string(status.message());
    }
    outcome.results.push_back({.work = std::move(batch.works[i]), .reply = std::move(reply)});
  }
  batch.done(std::move(outcome));
}

}  // namespace moesaic::shard
