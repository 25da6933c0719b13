#pragma once

#include <cstring>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace moesaic::fuzz {

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

}  // namespace moesaic::fuzz
