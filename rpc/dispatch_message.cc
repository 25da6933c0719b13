#include "rpc/dispatch_message.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::rpc {

std::string_view WireDtypeName(WireDtype dtype) {
  switch (dtype) {
    case WireDtype::kF32:
      return "f32";
    case WireDtype::kBF16:
      return "bf16";
    case WireDtype::kFp8E4M3:
      return "fp8";
  }
  return "unknown";
}

absl::StatusOr<WireDtype> ParseWireDtype(std::string_view name) {
  for (const WireDtype dtype : {WireDtype::kF32, WireDtype::kBF16, WireDtype::kFp8E4M3}) {
    if (WireDtypeName(dtype) == name) return dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("wire dtype '", base::ToAbsl(name), "' is none of f32, bf16, fp8"));
}

std::size_t WireDtypeBytes(WireDtype dtype) {
  switch (dtype) {
    case WireDtype::kF32:
      return 4;
    case WireDtype::kBF16:
      return 2;
    case WireDtype::kFp8E4M3:
      return 1;
  }
  return 0;
}

WireDtype ReplyDtype(WireDtype request) {
  return request == WireDtype::kF32 ? WireDtype::kF32 : WireDtype::kBF16;
}

std::string_view LaneName(Lane lane) {
  switch (lane) {
    case Lane::kDecode:
      return "decode";
    case Lane::kPrefill:
      return "prefill";
  }
  return "unknown";
}

std::string_view DispatchCodeName(DispatchCode code) {
  switch (code) {
    case DispatchCode::kOk:
      return "ok";
    case DispatchCode::kExpired:
      return "expired";
    case DispatchCode::kOverloaded:
      return "overloaded";
    case DispatchCode::kInvalid:
      return "invalid";
    case DispatchCode::kDraining:
      return "draining";
    case DispatchCode::kCancelled:
      return "cancelled";
    case DispatchCode::kInternal:
      return "internal";
  }
  return "unknown";
}

}  // namespace moesaic::rpc
