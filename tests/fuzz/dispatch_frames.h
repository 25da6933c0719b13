#pragma once

#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/check.h"
#include "google/protobuf/stubs/logging.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace moesaic::fuzz {

/// The generated parser has a line for every string that is no UTF-8: thousands a second here.
inline const bool kParserIsQuiet = (google::protobuf::SetLogHandler(nullptr), true);

/// A message as gRPC hands it over: in slices of `step` bytes, or in one when that is 0.
inline grpc::ByteBuffer InSlices(std::string_view bytes, std::size_t step) {
  std::vector<grpc::Slice> slices;
  if (step == 0) step = bytes.size() + 1;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    const std::string_view part = bytes.substr(at, step);
    slices.emplace_back(part.data(), part.size());
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

/// Whether two lists hold the same bytes.
template <typename T>
bool SameBytes(absl::Span<const T> a, absl::Span<const T> b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Reads `message` by hand, cut into slices of `step` bytes, and by the generated parser (a field
/// that is unknown to both makes the reader take that path): both must accept it or neither.
/// decode(ByteBuffer) -> StatusOr<variant>. Answers both readings, or nothing if it was refused.
template <typename Message, typename Decode>
auto DecodeBothWays(std::string_view message, std::size_t step, Decode decode) {
  // Field 1000 with the varint 0: no field of ours.
  constexpr std::string_view kUnknownField("\xC0\x3E\x00", 3);
  auto by_hand = decode(InSlices(message, step));
  auto generated = decode(InSlices(std::string(message) + std::string(kUnknownField), 0));
  // What is cut off in a field could be completed by the one that was added.
  const bool whole = Message().ParseFromArray(message.data(), static_cast<int>(message.size()));
  MOESAIC_CHECK(whole ? by_hand.ok() == generated.ok() : !by_hand.ok());
  using Both = std::pair<std::decay_t<decltype(*by_hand)>, std::decay_t<decltype(*by_hand)>>;
  if (!by_hand.ok()) return std::optional<Both>();
  MOESAIC_CHECK(by_hand->index() == generated->index());
  return std::optional<Both>(Both(*std::move(by_hand), *std::move(generated)));
}

}  // namespace moesaic::fuzz
