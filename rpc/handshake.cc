#include "rpc/handshake.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::rpc {
namespace {

/// Longest sender name or build taken from the other side.
constexpr std::size_t kMaxNameBytes = 256;

v1::WireDtype ToProto(WireDtype dtype) {
  switch (dtype) {
    case WireDtype::kF32:
      return v1::WIRE_DTYPE_F32;
    case WireDtype::kBF16:
      return v1::WIRE_DTYPE_BF16;
    case WireDtype::kFp8E4M3:
      return v1::WIRE_DTYPE_FP8_E4M3;
  }
  return v1::WIRE_DTYPE_UNSPECIFIED;
}

/// Leaves out what a newer peer knows and we do not.
std::vector<WireDtype> KnownDtypes(const v1::Hello& hello) {
  std::vector<WireDtype> known;
  for (const WireDtype dtype : {WireDtype::kF32, WireDtype::kBF16, WireDtype::kFp8E4M3}) {
    const auto& offered = hello.wire_dtypes();
    if (std::find(offered.begin(), offered.end(), ToProto(dtype)) != offered.end()) {
      known.push_back(dtype);
    }
  }
  return known;
}

}  // namespace

v1::Hello MakeHello(const LocalHello& local, Lane lane) {
  v1::Hello hello;
  hello.set_protocol_min(kProtocolMin);
  hello.set_protocol_max(kProtocolMax);
  hello.set_build(local.build);
  hello.set_incarnation(local.incarnation);
  *hello.mutable_model() = IdentityToProto(local.model);
  for (const WireDtype dtype : local.wire_dtypes) hello.add_wire_dtypes(ToProto(dtype));
  hello.set_credit_bytes(local.credit_bytes);
  hello.set_lane(lane == Lane::kPrefill ? v1::LANE_PREFILL : v1::LANE_DECODE);
  hello.set_sender(local.sender);
  return hello;
}

absl::StatusOr<PeerHello> CheckHello(const LocalHello& ours, const v1::Hello& theirs) {
  if (theirs.sender().empty() || theirs.sender().size() > kMaxNameBytes ||
      theirs.build().size() > kMaxNameBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("hello: sender and build must not be longer than ", kMaxNameBytes,
                     " bytes, nor the sender empty"));
  }
  if (theirs.protocol_min() > kProtocolMax || theirs.protocol_max() < kProtocolMin) {
    return absl::FailedPreconditionError(absl::StrCat(
        "protocol differs: ours is '", kProtocolMin, " to ", kProtocolMax, "', theirs is '",
        theirs.protocol_min(), " to ", theirs.protocol_max(), "' (", theirs.sender(), ")"));
  }
  PeerHello peer{.sender = theirs.sender(),
                 .build = theirs.build(),
                 .incarnation = theirs.incarnation(),
                 .model = IdentityFromProto(theirs.model()),
                 .wire_dtypes = KnownDtypes(theirs),
                 .credit_bytes = theirs.credit_bytes(),
                 .lane = theirs.lane() == v1::LANE_PREFILL ? Lane::kPrefill : Lane::kDecode,
                 .protocol = std::min(kProtocolMax, theirs.protocol_max())};
  if (theirs.lane() != v1::LANE_PREFILL && theirs.lane() != v1::LANE_DECODE) {
    return absl::InvalidArgumentError(absl::StrCat("hello: unknown lane ", theirs.lane()));
  }
  MOESAIC_RETURN_IF_ERROR(CheckSameModel(ours.model, peer.model));
  return peer;
}

}  // namespace moesaic::rpc
