#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "grpcpp/support/byte_buffer.h"
#include "proto/moesaic/v1/common.pb.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_message.h"

namespace moesaic::rpc {

// The bytes of v1.DispatchCall and v1.DispatchAnswer, written and read by hand: tensors go out by
// reference and come in with one gather, never through protobuf (126 instead of 227 µs a round trip
// at 16 tokens x 7168 bf16). A frame whose fields stand in another order, or that has unknown
// ones, is read by the generated parser instead. Everything read is bounded and checked.

/// A v1.DispatchCall as received.
using DecodedCall = std::variant<v1::Hello, Dispatch, std::vector<std::uint64_t> /* cancelled */>;
/// A v1.DispatchAnswer as received.
using DecodedAnswer = std::variant<v1::Hello, DispatchReply>;

/// Bytes of a dispatch's message with that many rows and assignments, from above.
std::size_t DispatchBytesBound(std::size_t rows, std::size_t assignments, int hidden_size,
                               WireDtype dtype);

/// `dispatch.storage` is kept until the bytes are written; other borrowed memory is copied.
/// Requires: consistent lengths, at most kMaxMessageBytes in total.
grpc::ByteBuffer EncodeDispatch(const Dispatch& dispatch);
grpc::ByteBuffer EncodeCallHello(const v1::Hello& hello);
grpc::ByteBuffer EncodeCancel(absl::Span<const std::uint64_t> dispatch_ids);

/// The parts of one reply, each at most kMaxMessageBytes, `more` set on all but the last; memory as
/// for EncodeDispatch. hidden_size: elements of a row. missing_units go with the last part.
std::vector<grpc::ByteBuffer> EncodeReply(const DispatchReply& reply, int hidden_size);
grpc::ByteBuffer EncodeAnswerHello(const v1::Hello& hello);

/// Reads a call for a model of `hidden_size`. The tensors and lists of a dispatch lie in one block
/// of `pool`. Errors: InvalidArgument naming what is wrong, for anything over kMaxMessageBytes, of
/// contradicting lengths, with indices out of range or out of order, or not a DispatchCall.
absl::StatusOr<DecodedCall> DecodeCall(const grpc::ByteBuffer& buffer, int hidden_size,
                                       BufferPool& pool);
/// Reads an answer; errors and memory as for DecodeCall. Whether its rows are the ones asked for is
/// the caller's to check.
absl::StatusOr<DecodedAnswer> DecodeAnswer(const grpc::ByteBuffer& buffer, int hidden_size,
                                           BufferPool& pool);

}  // namespace moesaic::rpc
