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

using moesaic::fuzz::DecodeBothWays;
using moesaic::fuzz::SameBytes;
using moesaic::rpc::DecodedCall;
using moesaic::rpc::Dispatch;

constexpr int kHidden = 5;

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
  const auto both = DecodeBothWays<moesaic::v1::DispatchCall>(
      input.Rest(), step, [](const grpc::ByteBuffer& message) {
        return moesaic::rpc::DecodeCall(message, kHidden, pool);
      });
  if (!both) return 0;
  const auto* dispatch = std::get_if<Dispatch>(&both->first);
  if (dispatch == nullptr) return 0;
  CheckSame(*dispatch, std::get<Dispatch>(both->second));
  // What we write of it we read back.
  const auto again =
      moesaic::rpc::DecodeCall(moesaic::rpc::EncodeDispatch(*dispatch), kHidden, pool);
  MOESAIC_CHECK(again.ok());
  CheckSame(*dispatch, std::get<Dispatch>(*again));
  return 0;
}
