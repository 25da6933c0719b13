// A message of a shard on a dispatch stream; as dispatch_call_fuzz.cc does with a router's.
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
using moesaic::rpc::DispatchReply;

constexpr int kHidden = 5;

void CheckSame(const DispatchReply& a, const DispatchReply& b) {
  MOESAIC_CHECK(a.dispatch_id == b.dispatch_id && a.code == b.code && a.error == b.error);
  MOESAIC_CHECK(a.more == b.more && (a.row_index.empty() || a.dtype == b.dtype));
  MOESAIC_CHECK(SameBytes(a.row_index, b.row_index) && SameBytes(a.unit_id, b.unit_id));
  MOESAIC_CHECK(SameBytes(a.rows, b.rows) && a.missing_units == b.missing_units);
  MOESAIC_CHECK(a.queue_depth_rows == b.queue_depth_rows && a.queue_wait_us == b.queue_wait_us);
  MOESAIC_CHECK(a.compute_us == b.compute_us && a.batch_rows == b.batch_rows);
  MOESAIC_CHECK(a.ns_per_row == b.ns_per_row && a.ns_per_expert == b.ns_per_expert);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto& pool = *new moesaic::rpc::BufferPool();
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t step = input.Below(16);
  const auto both = DecodeBothWays<moesaic::v1::DispatchAnswer>(
      input.Rest(), step, [](const grpc::ByteBuffer& message) {
        return moesaic::rpc::DecodeAnswer(message, kHidden, pool);
      });
  if (!both) return 0;
  const auto* reply = std::get_if<DispatchReply>(&both->first);
  if (reply == nullptr) return 0;
  CheckSame(*reply, std::get<DispatchReply>(both->second));
  // What we write of it we read back, its error in ASCII.
  const auto parts = moesaic::rpc::EncodeReply(*reply, kHidden);
  MOESAIC_CHECK(parts.size() == 1);
  const auto again = moesaic::rpc::DecodeAnswer(parts.front(), kHidden, pool);
  MOESAIC_CHECK(again.ok());
  const auto& read = std::get<DispatchReply>(*again);
  DispatchReply sent = *reply;
  sent.more = false;
  sent.error = read.error;
  CheckSame(sent, read);
  return 0;
}
