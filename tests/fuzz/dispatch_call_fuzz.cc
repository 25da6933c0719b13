// A message of a router on a dispatch stream. What the hand-written reader accepts, the generated
// parser must read alike: a field that is unknown to both makes the second reading take that path.
#include <variant>

#include "base/check.h"
#include "proto/moesaic/v1/expert_shard.pb.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_wire.h"
#include "tests/fuzz/dispatch_frames.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using moesaic::fuzz::InSlices;
using moesaic::fuzz::SameBytes;
using moesaic::rpc::DecodedCall;
using moesaic::rpc::Dispatch;

constexpr int kHidden = 5;
// Field 1000 with the varint 0: no field of ours.
constexpr std::string_view kUnknownField("\xC0\x3E\x00", 3);

void CheckSame(const Dispatch& a, const Dispatch& b) {
  MOESAIC_CHECK(a.dispatch_id == b.dispatch_id && a.layer == b.layer);
  MOESAIC_CHECK(a.epoch.term == b.epoch.term && a.epoch.version == b.epoch.version);
  MOESAIC_CHECK(a.dtype == b.dtype && a.remaining_us == b.remaining_us);
  MOESAIC_CHECK(a.row_count == b.row_count && a.trace_ids == b.trace_ids);
  MOESAIC_CHECK(SameBytes(a.rows, b.rows) && SameBytes(a.scales, b.scales));
  MOESAIC_CHECK(SameBytes(a.row_index, b.row_index) && SameBytes(a.expert_id, b.expert_id));
  MOESAIC_CHECK(SameBytes(a.weight, b.weight) && SameBytes(a.adapter_id, b.adapter_id));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& pool = *new moesaic::rpc::BufferPool();
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t step = input.Below(16);
  const std::string_view message = input.Rest();
  const auto call = moesaic::rpc::DecodeCall(InSlices(message, step), kHidden, pool);
  const auto generated = moesaic::rpc::DecodeCall(
      InSlices(std::string(message) + std::string(kUnknownField), 0), kHidden, pool);
  // What is cut off in a field could be completed by the one that was added.
  const bool whole =
      moesaic::v1::DispatchCall().ParseFromArray(message.data(), static_cast<int>(message.size()));
  MOESAIC_CHECK(whole ? call.ok() == generated.ok() : !call.ok());
  if (!call.ok()) return 0;
  MOESAIC_CHECK(call->index() == generated->index());
  const auto* dispatch = std::get_if<Dispatch>(&*call);
  if (dispatch == nullptr) return 0;
  CheckSame(*dispatch, std::get<Dispatch>(*generated));
  // What we write of it we read back.
  const auto again =
      moesaic::rpc::DecodeCall(moesaic::rpc::EncodeDispatch(*dispatch), kHidden, pool);
  MOESAIC_CHECK(again.ok());
  CheckSame(*dispatch, std::get<Dispatch>(*again));
  return 0;
}
