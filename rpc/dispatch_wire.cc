#include "rpc/dispatch_wire.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "proto/moesaic/v1/expert_shard.pb.h"
#include "rpc/grpc_ordering.h"
#include "rpc/slice_cursor.h"
#include "rpc/wire_fields.h"

namespace moesaic::rpc {
namespace {

/// Enough for the scalar fields of either message with their tags (at most 11 bytes each), the
/// epoch, and the prefixes of the payload and of the first long field.
constexpr std::size_t kMaxScalarBytes = 192;
/// Longest error text that is sent.
constexpr std::size_t kMaxErrorBytes = 1024;

/// A slice over part of `storage` that keeps it until gRPC has written the bytes; a copy when the
/// memory is not pooled.
grpc::Slice SliceOf(absl::Span<const std::byte> bytes, const PooledBuffer& storage) {
  if (!storage) return grpc::Slice(bytes.data(), bytes.size());
  auto* const kept = new PooledBuffer(storage);
  MarkReleased(kept);
  return grpc::Slice(
      const_cast<std::byte*>(bytes.data()), bytes.size(),
      [](void* last) {
        MarkAcquired(last);
        delete static_cast<PooledBuffer*>(last);
      },
      kept);
}

template <typename T>
std::size_t ListBytes(std::uint32_t field, absl::Span<const T> list) {
  return wire::BytesFieldBytes(field, list.size() * sizeof(T));
}

template <typename T>
void WriteList(wire::FieldWriter& writer, std::uint32_t field, absl::Span<const T> list) {
  writer.BytesField(field, list.data(), list.size() * sizeof(T));
}

/// Puts tag and length of the payload before its head, and head, rows and tail together.
/// head: the payload's bytes before the rows; tail: those after.
grpc::ByteBuffer Assemble(absl::Span<const std::uint8_t> head, absl::Span<const std::byte> rows,
                          const PooledBuffer& storage, grpc::Slice tail) {
  std::array<std::uint8_t, 16> prefix;
  wire::FieldWriter writer(prefix.data());
  writer.LengthPrefix(wire::kPayload, head.size() + rows.size() + tail.size());
  const auto prefix_bytes = static_cast<std::size_t>(writer.at() - prefix.data());
  grpc::Slice front(prefix_bytes + head.size());
  auto* out = const_cast<std::uint8_t*>(front.begin());
  std::memcpy(out, prefix.data(), prefix_bytes);
  std::memcpy(out + prefix_bytes, head.data(), head.size());
  std::array<grpc::Slice, 3> slices;
  std::size_t count = 0;
  slices[count++] = std::move(front);
  if (!rows.empty()) slices[count++] = SliceOf(rows, storage);
  if (tail.size() > 0) slices[count++] = std::move(tail);
  return grpc::ByteBuffer(slices.data(), count);
}

template <typename Message>
grpc::ByteBuffer Serialize(const Message& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

void WriteEpoch(wire::FieldWriter& writer, base::PlacementEpoch epoch) {
  std::array<std::uint8_t, 24> bytes;
  wire::FieldWriter inner(bytes.data());
  inner.VarintField(wire::epoch::kTerm, epoch.term);
  inner.VarintField(wire::epoch::kVersion, epoch.version);
  writer.BytesField(wire::request::kEpoch, bytes.data(), inner.at() - bytes.data());
}

grpc::Slice DispatchTail(const Dispatch& dispatch) {
  using namespace wire::request;
  const std::size_t trace_ids = std::min(dispatch.trace_ids.size(), kMaxTraceIds);
  grpc::Slice tail(ListBytes(kScales, dispatch.scales) + ListBytes(kRowIndex, dispatch.row_index) +
                   ListBytes(kExpertId, dispatch.expert_id) + ListBytes(kWeight, dispatch.weight) +
                   ListBytes(kAdapterId, dispatch.adapter_id) +
                   trace_ids * wire::BytesFieldBytes(kTraceId, sizeof(monitoring::TraceId)));
  wire::FieldWriter writer(const_cast<std::uint8_t*>(tail.begin()));
  WriteList(writer, kScales, dispatch.scales);
  WriteList(writer, kRowIndex, dispatch.row_index);
  WriteList(writer, kExpertId, dispatch.expert_id);
  WriteList(writer, kWeight, dispatch.weight);
  WriteList(writer, kAdapterId, dispatch.adapter_id);
  for (std::size_t i = 0; i < trace_ids; ++i) {
    writer.BytesField(kTraceId, dispatch.trace_ids[i].data(), sizeof(monitoring::TraceId));
  }
  return tail;
}

/// Results [begin, end) of a reply, as one message.
struct ReplyPart {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool more = false;
};

std::size_t MissingUnitsBytes(const DispatchReply& reply) {
  std::size_t bytes = 0;
  for (const std::uint32_t unit : reply.missing_units) bytes += wire::VarintBytes(unit);
  return bytes;
}

/// The error text as it is sent: bounded, and ASCII, because a receiver refuses invalid UTF-8.
std::string ErrorText(const DispatchReply& reply) {
  std::string text = reply.error.substr(0, kMaxErrorBytes);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return (c & 0x80) != 0; }, '?');
  return text;
}

grpc::Slice ReplyTail(const DispatchReply& reply, bool more) {
  using namespace wire::reply;
  const std::size_t missing_bytes = more ? 0 : MissingUnitsBytes(reply);
  std::array<std::uint8_t, kMaxScalarBytes> scalars;
  wire::FieldWriter scalar_writer(scalars.data());
  scalar_writer.VarintField(kQueueDepthRows, reply.queue_depth_rows);
  scalar_writer.VarintField(kQueueWaitUs, reply.queue_wait_us);
  scalar_writer.VarintField(kComputeUs, reply.compute_us);
  scalar_writer.VarintField(kBatchRows, reply.batch_rows);
  scalar_writer.VarintField(kNsPerRow, reply.ns_per_row);
  scalar_writer.VarintField(kNsPerExpert, reply.ns_per_expert);
  const auto scalar_bytes = static_cast<std::size_t>(scalar_writer.at() - scalars.data());
  grpc::Slice tail(wire::BytesFieldBytes(kMissingUnits, missing_bytes) + scalar_bytes);
  wire::FieldWriter writer(const_cast<std::uint8_t*>(tail.begin()));
  if (missing_bytes > 0) {
    writer.LengthPrefix(kMissingUnits, missing_bytes);
    for (const std::uint32_t unit : reply.missing_units) writer.Varint(unit);
  }
  if (scalar_bytes > 0) std::memcpy(writer.at(), scalars.data(), scalar_bytes);
  return tail;
}

grpc::ByteBuffer EncodePart(const DispatchReply& reply, std::size_t row_bytes, ReplyPart part) {
  using namespace wire::reply;
  const std::size_t count = part.end - part.begin;
  const std::string error = ErrorText(reply);
  const auto row_index = reply.row_index.subspan(part.begin, count);
  const auto unit_id = reply.unit_id.subspan(part.begin, count);
  const auto rows = reply.rows.subspan(part.begin * row_bytes, count * row_bytes);
  std::vector<std::uint8_t> head(kMaxScalarBytes + error.size() + 2 * 4 * count);
  wire::FieldWriter writer(head.data());
  writer.VarintField(kDispatchId, reply.dispatch_id);
  writer.VarintField(kCode, static_cast<std::uint64_t>(reply.code));
  writer.BytesField(kError, error.data(), error.size());
  writer.VarintField(kMore, part.more ? 1 : 0);
  writer.VarintField(kDtype, static_cast<std::uint64_t>(reply.dtype));
  WriteList(writer, kRowIndex, row_index);
  WriteList(writer, kUnitId, unit_id);
  if (!rows.empty()) writer.LengthPrefix(kRows, rows.size());
  head.resize(writer.at() - head.data());
  return Assemble(head, rows, reply.storage, ReplyTail(reply, part.more));
}

}  // namespace

std::size_t DispatchBytesBound(std::size_t rows, std::size_t assignments, int hidden_size,
                               WireDtype dtype) {
  const std::size_t scales =
      dtype == WireDtype::kFp8E4M3
          ? (static_cast<std::size_t>(hidden_size) + kFp8BlockChannels - 1) / kFp8BlockChannels
          : 0;
  const std::size_t row_bytes =
      static_cast<std::size_t>(hidden_size) * WireDtypeBytes(dtype) + 4 * scales;
  const std::size_t trace_ids =
      kMaxTraceIds * wire::BytesFieldBytes(wire::request::kTraceId, sizeof(monitoring::TraceId));
  return kMaxScalarBytes + trace_ids + rows * row_bytes + 12 * assignments;
}

grpc::ByteBuffer EncodeDispatch(const Dispatch& dispatch) {
  using namespace wire::request;
  std::array<std::uint8_t, kMaxScalarBytes> head;
  wire::FieldWriter writer(head.data());
  writer.VarintField(kDispatchId, dispatch.dispatch_id);
  writer.VarintField(kLayer, dispatch.layer.value());
  WriteEpoch(writer, dispatch.epoch);
  writer.VarintField(kDtype, static_cast<std::uint64_t>(dispatch.dtype));
  writer.VarintField(kRemainingUs, dispatch.remaining_us);
  writer.VarintField(kRowCount, dispatch.row_count);
  if (!dispatch.rows.empty()) writer.LengthPrefix(kRows, dispatch.rows.size());
  grpc::ByteBuffer buffer =
      Assemble({head.data(), static_cast<std::size_t>(writer.at() - head.data())}, dispatch.rows,
               dispatch.storage, DispatchTail(dispatch));
  MOESAIC_CHECK(buffer.Length() <= kMaxMessageBytes);
  return buffer;
}

grpc::ByteBuffer EncodeCallHello(const v1::Hello& hello) {
  v1::DispatchCall call;
  *call.mutable_hello() = hello;
  return Serialize(call);
}

grpc::ByteBuffer EncodeCancel(absl::Span<const std::uint64_t> dispatch_ids) {
  v1::DispatchCall call;
  call.mutable_cancel()->mutable_dispatch_ids()->Add(dispatch_ids.begin(), dispatch_ids.end());
  return Serialize(call);
}

std::vector<grpc::ByteBuffer> EncodeReply(const DispatchReply& reply, int hidden_size) {
  const std::size_t row_bytes = static_cast<std::size_t>(hidden_size) * WireDtypeBytes(reply.dtype);
  const std::size_t results = reply.row_index.size();
  MOESAIC_CHECK(reply.unit_id.size() == results && reply.rows.size() == results * row_bytes);
  const std::size_t overhead =
      2 * kMaxScalarBytes + ErrorText(reply).size() + MissingUnitsBytes(reply);
  MOESAIC_CHECK(overhead + row_bytes + 8 <= kMaxMessageBytes);
  const std::size_t per_part = (kMaxMessageBytes - overhead) / (row_bytes + 8);
  std::vector<grpc::ByteBuffer> parts;
  std::size_t begin = 0;
  do {
    const std::size_t end = std::min(begin + per_part, results);
    grpc::ByteBuffer part = EncodePart(reply, row_bytes, {begin, end, end < results});
    parts.emplace_back().Swap(&part);  // ByteBuffer has no move constructor
    begin = end;
  } while (begin < results);
  return parts;
}

grpc::ByteBuffer EncodeAnswerHello(const v1::Hello& hello) {
  v1::DispatchAnswer answer;
  *answer.mutable_hello() = hello;
  return Serialize(answer);
}

}  // namespace moesaic::rpc
