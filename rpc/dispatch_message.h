#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/dtype.h"
#include "base/ids.h"
#include "monitoring/trace_context.h"
#include "rpc/buffer_pool.h"

namespace moesaic::rpc {

/// Largest message of a Dispatch stream; larger dispatches and replies are split by rows.
inline constexpr std::size_t kMaxMessageBytes = std::size_t{1} << 20;
/// Trace ids of one dispatch; more are left out.
inline constexpr std::size_t kMaxTraceIds = 16;
/// Channels that share one scale in an fp8 row.
inline constexpr int kFp8BlockChannels = 128;

/// Element type of activations on the wire (values of v1.WireDtype).
enum class WireDtype : std::uint8_t { kF32 = 1, kBF16 = 2, kFp8E4M3 = 3 };
/// "f32", "bf16", "fp8".
std::string_view WireDtypeName(WireDtype dtype);
/// Inverse of WireDtypeName. Errors: InvalidArgument naming the text.
absl::StatusOr<WireDtype> ParseWireDtype(std::string_view name);
/// Bytes of one element.
std::size_t WireDtypeBytes(WireDtype dtype);
/// What a shard answers in when asked in `request`: fp8 goes outward only, its replies are bf16.
WireDtype ReplyDtype(WireDtype request);

/// Queue and connection a dispatch travels by (values of v1.Lane).
enum class Lane : std::uint8_t { kDecode = 1, kPrefill = 2 };
/// "decode", "prefill".
std::string_view LaneName(Lane lane);

/// Outcome of a dispatch (values of v1.DispatchCode).
enum class DispatchCode : std::uint8_t {
  kOk = 1,
  kExpired = 2,
  kOverloaded = 3,
  kInvalid = 4,
  kDraining = 5,
  kCancelled = 6,
  kInternal = 7,
};
/// "ok", "expired", …
std::string_view DispatchCodeName(DispatchCode code);

/// Rows of one layer and the experts each goes through; see v1.DispatchRequest. Everything borrowed
/// lies in `storage` or outlives the message's write. Movable value, thread-compatible.
struct Dispatch {
  std::uint64_t dispatch_id = 0;
  base::LayerId layer = {};
  base::PlacementEpoch epoch = {};
  WireDtype dtype = WireDtype::kF32;
  std::uint64_t remaining_us = 0;  ///< 0 = no limit.
  std::uint32_t row_count = 0;
  absl::Span<const std::byte> rows = {};  ///< [row_count, hidden], aligned to 64 when decoded.
  absl::Span<const float> scales = {};    ///< fp8 only: [row_count, ceil(hidden / 128)].
  absl::Span<const std::uint32_t> row_index = {};   ///< [assignments], (row, expert) ascending.
  absl::Span<const std::uint32_t> expert_id = {};   ///< [assignments]
  absl::Span<const float> weight = {};              ///< [assignments]
  absl::Span<const std::uint32_t> adapter_id = {};  ///< Empty or [row_count]; reserved.
  /// Traces some of the rows belong to; usually empty. At most kMaxTraceIds are sent.
  std::vector<monitoring::TraceId> trace_ids = {};
  PooledBuffer storage = {};
};

/// Results of one dispatch; see v1.DispatchReply. Borrowing and threads as for Dispatch.
struct DispatchReply {
  std::uint64_t dispatch_id = 0;
  DispatchCode code = DispatchCode::kOk;
  std::string error = {};             ///< For people, when code is not kOk.
  bool more = false;                  ///< Set by the encoder on all parts but the last.
  WireDtype dtype = WireDtype::kF32;  ///< kF32 or kBF16.
  absl::Span<const std::uint32_t> row_index = {};  ///< [results] request row of each result.
  absl::Span<const std::uint32_t> unit_id = {};    ///< [results]
  absl::Span<const std::byte> rows = {};  ///< [results, hidden], aligned to 64 when decoded.
  std::vector<std::uint32_t> missing_units = {};  ///< Asked for but not held here; ascending.
  std::uint32_t queue_depth_rows = 0;
  std::uint64_t queue_wait_us = 0;
  std::uint64_t compute_us = 0;
  std::uint32_t batch_rows = 0;
  std::uint32_t ns_per_row = 0;     ///< 0 = not measured.
  std::uint32_t ns_per_expert = 0;  ///< 0 = not measured.
  PooledBuffer storage = {};
};

}  // namespace moesaic::rpc
