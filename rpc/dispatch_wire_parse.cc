#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "proto/moesaic/v1/expert_shard.pb.h"
#include "rpc/dispatch_wire.h"
#include "rpc/slice_cursor.h"
#include "rpc/wire_convert.h"
#include "rpc/wire_fields.h"

namespace moesaic::rpc {
namespace {

constexpr std::size_t kAlignment = 64;
/// Tensors and lists of one message, each of which may waste up to an alignment.
constexpr std::size_t kMaxRegions = 8;

absl::Status Malformed(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("dispatch stream: ", what));
}

/// Hands out aligned parts of one pooled block that is large enough for a whole message: every list
/// element read takes at least as many bytes of the message as of the block.
class MessageArena {
 public:
  MessageArena(BufferPool& pool, std::size_t message_bytes)
      : storage_(pool.Take(message_bytes + kMaxRegions * kAlignment)) {}

  void* Allocate(std::size_t bytes) {
    std::byte* at = storage_.data() + used_;
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  }
  /// The regions live as long as this.
  const PooledBuffer& storage() const { return storage_; }
  /// Forgets what was allocated, for a second attempt at the same message.
  void Reset() { used_ = 0; }

 private:
  PooledBuffer storage_;
  std::size_t used_ = 0;
};

/// Gathers a length-delimited field of T into one aligned run.
template <typename T>
[[nodiscard]] bool ReadList(SliceCursor& cursor, MessageArena& arena, absl::Span<const T>* list) {
  std::size_t bytes;
  if (!cursor.ReadLength(&bytes) || bytes % sizeof(T) != 0) return false;
  auto* out = static_cast<T*>(arena.Allocate(bytes));
  *list = {out, bytes / sizeof(T)};
  return cursor.Copy(bytes, out);
}

/// Reads a length and then that many bytes by calling `read_element` until they are used up; false
/// if that, or the last element, goes wrong.
[[nodiscard]] bool ReadDelimited(SliceCursor& cursor, absl::FunctionRef<bool()> read_element) {
  std::size_t bytes;
  if (!cursor.ReadLength(&bytes)) return false;
  const std::size_t end = cursor.remaining() - bytes;
  while (cursor.remaining() > end) {
    if (!read_element()) return false;
  }
  return cursor.remaining() == end;
}

/// Reads a length-delimited message whose fields stand in order, as our writers have them: each
/// tag, and its value by `read_field`. Only field `repeated` may come more than once. False for
/// anything else.
[[nodiscard]] bool ReadMessage(SliceCursor& cursor,
                               absl::FunctionRef<bool(std::uint32_t tag)> read_field,
                               std::uint32_t repeated = 0) {
  std::uint32_t last_field = 0;
  return ReadDelimited(cursor, [&] {
    std::uint32_t tag;
    if (!cursor.ReadVarint32(&tag)) return false;
    const std::uint32_t field = tag >> 3;
    if (field < last_field || (field == last_field && field != repeated)) return false;
    last_field = field;
    return read_field(tag);
  });
}

[[nodiscard]] bool ReadEpoch(SliceCursor& cursor, base::PlacementEpoch* epoch) {
  return ReadMessage(cursor, [&](std::uint32_t tag) {
    switch (tag) {
      case wire::Tag(wire::epoch::kTerm, wire::kVarint):
        return cursor.ReadVarint(&epoch->term);
      case wire::Tag(wire::epoch::kVersion, wire::kVarint):
        return cursor.ReadVarint(&epoch->version);
      default:
        return false;
    }
  });
}

[[nodiscard]] bool ReadTraceId(SliceCursor& cursor, std::vector<monitoring::TraceId>* ids) {
  std::size_t bytes;
  if (ids->size() == kMaxTraceIds || !cursor.ReadLength(&bytes)) return false;
  return bytes == sizeof(monitoring::TraceId) && cursor.Copy(bytes, ids->emplace_back().data());
}

/// The rows, as bytes: ReadList<std::byte>.
[[nodiscard]] bool ReadDispatchField(std::uint32_t tag, SliceCursor& cursor, MessageArena& arena,
                                     Dispatch* dispatch, std::uint32_t* dtype) {
  using namespace wire::request;
  std::uint32_t number;
  switch (tag) {
    case wire::Tag(kDispatchId, wire::kVarint):
      return cursor.ReadVarint(&dispatch->dispatch_id);
    case wire::Tag(kLayer, wire::kVarint):
      if (!cursor.ReadVarint32(&number)) return false;
      dispatch->layer = base::LayerId(number);
      return true;
    case wire::Tag(kEpoch, wire::kLengthDelimited):
      return ReadEpoch(cursor, &dispatch->epoch);
    case wire::Tag(kDtype, wire::kVarint):
      return cursor.ReadVarint32(dtype);
    case wire::Tag(kRemainingUs, wire::kVarint):
      return cursor.ReadVarint(&dispatch->remaining_us);
    case wire::Tag(kRowCount, wire::kVarint):
      return cursor.ReadVarint32(&dispatch->row_count);
    case wire::Tag(kRows, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->rows);
    case wire::Tag(kScales, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->scales);
    case wire::Tag(kRowIndex, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->row_index);
    case wire::Tag(kExpertId, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->expert_id);
    case wire::Tag(kWeight, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->weight);
    case wire::Tag(kAdapterId, wire::kLengthDelimited):
      return ReadList(cursor, arena, &dispatch->adapter_id);
    case wire::Tag(kTraceId, wire::kLengthDelimited):
      return ReadTraceId(cursor, &dispatch->trace_ids);
    default:
      return false;
  }
}

[[nodiscard]] bool ReadMissingUnits(SliceCursor& cursor, DispatchReply* reply) {
  return ReadDelimited(cursor, [&] {
    std::uint32_t unit;
    if (!cursor.ReadVarint32(&unit)) return false;
    reply->missing_units.push_back(unit);
    return true;
  });
}

/// Wire values of a reply that are not yet known to be good.
struct ReplyEnums {
  std::uint32_t code = 0;
  std::uint32_t dtype = 0;
};

[[nodiscard]] bool ReadReplyField(std::uint32_t tag, SliceCursor& cursor, MessageArena& arena,
                                  DispatchReply* reply, ReplyEnums* enums) {
  using namespace wire::reply;
  std::uint32_t number;
  switch (tag) {
    case wire::Tag(kDispatchId, wire::kVarint):
      return cursor.ReadVarint(&reply->dispatch_id);
    case wire::Tag(kCode, wire::kVarint):
      return cursor.ReadVarint32(&enums->code);
    case wire::Tag(kMore, wire::kVarint):
      if (!cursor.ReadVarint32(&number)) return false;
      reply->more = number != 0;
      return true;
    case wire::Tag(kDtype, wire::kVarint):
      return cursor.ReadVarint32(&enums->dtype);
    case wire::Tag(kRowIndex, wire::kLengthDelimited):
      return ReadList(cursor, arena, &reply->row_index);
    case wire::Tag(kUnitId, wire::kLengthDelimited):
      return ReadList(cursor, arena, &reply->unit_id);
    case wire::Tag(kRows, wire::kLengthDelimited):
      return ReadList(cursor, arena, &reply->rows);
    case wire::Tag(kMissingUnits, wire::kLengthDelimited):
      return ReadMissingUnits(cursor, reply);
    case wire::Tag(kQueueDepthRows, wire::kVarint):
      return cursor.ReadVarint32(&reply->queue_depth_rows);
    case wire::Tag(kQueueWaitUs, wire::kVarint):
      return cursor.ReadVarint(&reply->queue_wait_us);
    case wire::Tag(kComputeUs, wire::kVarint):
      return cursor.ReadVarint(&reply->compute_us);
    case wire::Tag(kBatchRows, wire::kVarint):
      return cursor.ReadVarint32(&reply->batch_rows);
    case wire::Tag(kNsPerRow, wire::kVarint):
      return cursor.ReadVarint32(&reply->ns_per_row);
    case wire::Tag(kNsPerExpert, wire::kVarint):
      return cursor.ReadVarint32(&reply->ns_per_expert);
    default:
      return false;  // Also the error text, which protobuf has to check for UTF-8.
  }
}

/// Reads a message that is one payload and nothing else; as ReadMessage.
[[nodiscard]] bool ReadPayload(SliceCursor& cursor,
                               absl::FunctionRef<bool(std::uint32_t tag)> read_field,
                               std::uint32_t repeated = 0) {
  std::uint32_t tag;
  return cursor.ReadVarint32(&tag) && tag == wire::Tag(wire::kPayload, wire::kLengthDelimited) &&
         ReadMessage(cursor, read_field, repeated) && cursor.remaining() == 0;
}

[[nodiscard]] bool ReadDispatch(absl::Span<const grpc::Slice> slices, MessageArena& arena,
                                Dispatch* dispatch, std::uint32_t* dtype) {
  SliceCursor cursor(slices);
  return ReadPayload(
      cursor,
      [&](std::uint32_t tag) { return ReadDispatchField(tag, cursor, arena, dispatch, dtype); },
      wire::request::kTraceId);
}

[[nodiscard]] bool ReadReply(absl::Span<const grpc::Slice> slices, MessageArena& arena,
                             DispatchReply* reply, ReplyEnums* enums) {
  SliceCursor cursor(slices);
  return ReadPayload(
      cursor, [&](std::uint32_t tag) { return ReadReplyField(tag, cursor, arena, reply, enums); });
}

/// The generated parser, over a flat copy.
template <typename Message>
absl::StatusOr<Message> ParseGenerated(absl::Span<const grpc::Slice> slices) {
  std::string flat;
  for (const grpc::Slice& slice : slices) {
    flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  Message message;
  if (!message.ParseFromString(flat)) return Malformed("not a protobuf message");
  return message;
}

template <typename T, typename Field>
absl::Span<const T> CopyList(const Field& field, MessageArena& arena) {
  const std::size_t bytes = static_cast<std::size_t>(field.size()) * sizeof(field[0]);
  auto* out = static_cast<T*>(arena.Allocate(bytes));
  if (bytes > 0) std::memcpy(out, field.data(), bytes);
  return {out, bytes / sizeof(T)};
}

Dispatch FromGenerated(const v1::DispatchRequest& request, MessageArena& arena) {
  Dispatch dispatch;
  dispatch.dispatch_id = request.dispatch_id();
  dispatch.layer = base::LayerId(request.layer());
  dispatch.epoch = {request.epoch().term(), request.epoch().version()};
  dispatch.remaining_us = request.remaining_us();
  dispatch.row_count = request.row_count();
  dispatch.rows = CopyList<std::byte>(request.rows(), arena);
  dispatch.scales = CopyList<float>(request.scales(), arena);
  dispatch.row_index = CopyList<std::uint32_t>(request.row_index(), arena);
  dispatch.expert_id = CopyList<std::uint32_t>(request.expert_id(), arena);
  dispatch.weight = CopyList<float>(request.weight(), arena);
  dispatch.adapter_id = CopyList<std::uint32_t>(request.adapter_id(), arena);
  return dispatch;
}

DispatchReply FromGenerated(const v1::DispatchReply& proto, MessageArena& arena) {
  DispatchReply reply;
  reply.dispatch_id = proto.dispatch_id();
  reply.error = proto.error();
  reply.more = proto.more();
  reply.row_index = CopyList<std::uint32_t>(proto.row_index(), arena);
  reply.unit_id = CopyList<std::uint32_t>(proto.unit_id(), arena);
  reply.rows = CopyList<std::byte>(proto.rows(), arena);
  reply.missing_units.assign(proto.missing_units().begin(), proto.missing_units().end());
  reply.queue_depth_rows = proto.queue_depth_rows();
  reply.queue_wait_us = proto.queue_wait_us();
  reply.compute_us = proto.compute_us();
  reply.batch_rows = proto.batch_rows();
  reply.ns_per_row = proto.ns_per_row();
  reply.ns_per_expert = proto.ns_per_expert();
  return reply;
}

absl::StatusOr<WireDtype> CheckDtype(std::uint32_t value) {
  switch (value) {
    case v1::WIRE_DTYPE_F32:
      return WireDtype::kF32;
    case v1::WIRE_DTYPE_BF16:
      return WireDtype::kBF16;
    case v1::WIRE_DTYPE_FP8_E4M3:
      return WireDtype::kFp8E4M3;
    default:
      return Malformed("unknown dtype");
  }
}

/// Takes the trace ids over.
absl::Status CheckTraceIds(const v1::DispatchRequest& request, Dispatch* dispatch) {
  if (static_cast<std::size_t>(request.trace_id_size()) > kMaxTraceIds) {
    return Malformed("too many trace ids");
  }
  for (const std::string& id : request.trace_id()) {
    if (id.size() != sizeof(monitoring::TraceId)) return Malformed("a trace id not of 16 bytes");
    std::memcpy(dispatch->trace_ids.emplace_back().data(), id.data(), id.size());
  }
  return absl::OkStatus();
}

absl::Status CheckAssignments(const Dispatch& dispatch) {
  const std::size_t count = dispatch.row_index.size();
  if (count == 0 || dispatch.expert_id.size() != count || dispatch.weight.size() != count) {
    return Malformed("row_index, expert_id and weight must be of one length, not 0");
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (dispatch.row_index[i] >= dispatch.row_count) return Malformed("row_index out of range");
    if (i > 0 && std::pair(dispatch.row_index[i - 1], dispatch.expert_id[i - 1]) >=
                     std::pair(dispatch.row_index[i], dispatch.expert_id[i])) {
      return Malformed("assignments out of order");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDispatch(const Dispatch& dispatch, int hidden_size) {
  const std::size_t rows = dispatch.row_count;
  const std::size_t row_bytes =
      static_cast<std::size_t>(hidden_size) * WireDtypeBytes(dispatch.dtype);
  if (rows == 0) return Malformed("a dispatch without rows");
  if (dispatch.rows.size() != rows * row_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("dispatch stream: rows has ", dispatch.rows.size(), " bytes, row_count ", rows,
                     " of hidden size ", hidden_size, " takes ", rows * row_bytes));
  }
  const std::size_t scales =
      dispatch.dtype == WireDtype::kFp8E4M3 ? rows * Fp8ScalesPerRow(hidden_size) : 0;
  if (dispatch.scales.size() != scales) return Malformed("scales of the wrong length");
  for (const float scale : dispatch.scales) {
    if (!std::isfinite(scale) || scale <= 0) return Malformed("a scale that is no positive number");
  }
  if (!dispatch.adapter_id.empty() && dispatch.adapter_id.size() != rows) {
    return Malformed("adapter_id of the wrong length");
  }
  return CheckAssignments(dispatch);
}

/// Takes the outcome code over and checks it against the rest.
absl::Status CheckReply(const ReplyEnums& enums, int hidden_size, DispatchReply* reply) {
  if (enums.code < v1::DISPATCH_CODE_OK || enums.code > v1::DISPATCH_CODE_INTERNAL) {
    return Malformed("unknown code");
  }
  reply->code = static_cast<DispatchCode>(enums.code);
  const std::size_t results = reply->row_index.size();
  if (reply->unit_id.size() != results) return Malformed("row_index and unit_id differ in length");
  if (results == 0) {
    return reply->rows.empty() ? absl::OkStatus() : Malformed("rows without row_index");
  }
  if (reply->code != DispatchCode::kOk) return Malformed("rows beside an error");
  MOESAIC_ASSIGN_OR_RETURN(reply->dtype, CheckDtype(enums.dtype));
  if (reply->dtype == WireDtype::kFp8E4M3) return Malformed("a reply in fp8");
  if (reply->rows.size() != results * hidden_size * WireDtypeBytes(reply->dtype)) {
    return Malformed("rows of the wrong length");
  }
  return absl::OkStatus();
}

/// The slices of a message of acceptable size.
absl::StatusOr<std::vector<grpc::Slice>> SlicesOf(const grpc::ByteBuffer& buffer) {
  if (!buffer.Valid() || buffer.Length() > kMaxMessageBytes) {
    return Malformed("a message over 1 MiB");
  }
  std::vector<grpc::Slice> slices;
  if (!buffer.Dump(&slices).ok()) return Malformed("an unreadable message");
  return slices;
}

}  // namespace

absl::StatusOr<DecodedCall> DecodeCall(const grpc::ByteBuffer& buffer, int hidden_size,
                                       BufferPool& pool) {
  MOESAIC_ASSIGN_OR_RETURN(const auto slices, SlicesOf(buffer));
  MessageArena arena(pool, buffer.Length());
  Dispatch dispatch;
  std::uint32_t dtype = 0;
  if (!ReadDispatch(slices, arena, &dispatch, &dtype)) {
    arena.Reset();
    MOESAIC_ASSIGN_OR_RETURN(auto call, ParseGenerated<v1::DispatchCall>(slices));
    switch (call.kind_case()) {
      case v1::DispatchCall::kHello:
        return DecodedCall(std::move(*call.mutable_hello()));
      case v1::DispatchCall::kCancel: {
        const auto& ids = call.cancel().dispatch_ids();
        return DecodedCall(std::vector<std::uint64_t>(ids.begin(), ids.end()));
      }
      case v1::DispatchCall::kDispatch:
        dispatch = FromGenerated(call.dispatch(), arena);
        MOESAIC_RETURN_IF_ERROR(CheckTraceIds(call.dispatch(), &dispatch));
        dtype = static_cast<std::uint32_t>(call.dispatch().dtype());
        break;
      default:
        return Malformed("a call of no known kind");
    }
  }
  MOESAIC_ASSIGN_OR_RETURN(dispatch.dtype, CheckDtype(dtype));
  MOESAIC_RETURN_IF_ERROR(CheckDispatch(dispatch, hidden_size));
  dispatch.storage = arena.storage();
  return DecodedCall(std::move(dispatch));
}

absl::StatusOr<DecodedAnswer> DecodeAnswer(const grpc::ByteBuffer& buffer, int hidden_size,
                                           BufferPool& pool) {
  MOESAIC_ASSIGN_OR_RETURN(const auto slices, SlicesOf(buffer));
  MessageArena arena(pool, buffer.Length());
  DispatchReply reply;
  ReplyEnums enums;
  if (!ReadReply(slices, arena, &reply, &enums)) {
    arena.Reset();
    MOESAIC_ASSIGN_OR_RETURN(auto answer, ParseGenerated<v1::DispatchAnswer>(slices));
    switch (answer.kind_case()) {
      case v1::DispatchAnswer::kHello:
        return DecodedAnswer(std::move(*answer.mutable_hello()));
      case v1::DispatchAnswer::kReply:
        reply = FromGenerated(answer.reply(), arena);
        enums = {static_cast<std::uint32_t>(answer.reply().code()),
                 static_cast<std::uint32_t>(answer.reply().dtype())};
        break;
      default:
        return Malformed("an answer of no known kind");
    }
  }
  MOESAIC_RETURN_IF_ERROR(CheckReply(enums, hidden_size, &reply));
  reply.storage = arena.storage();
  return DecodedAnswer(std::move(reply));
}

}  // namespace moesaic::rpc
