#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

#include "absl/types/span.h"
#include "grpcpp/support/slice.h"

namespace moesaic::rpc {

static_assert(std::endian::native == std::endian::little,
              "tensors and fixed32 lists are little-endian on the wire and copied as they are");

/// Reads protobuf's wire format from the slices of one message, as if they were one run of bytes.
/// Borrows the slices. Reading past the end fails and leaves the position unspecified.
/// Single-thread.
class SliceCursor {
 public:
  explicit SliceCursor(absl::Span<const grpc::Slice> slices) : slices_(slices) {
    for (const grpc::Slice& slice : slices) remaining_ += slice.size();
    if (!slices_.empty()) Enter(0);
  }

  std::size_t remaining() const { return remaining_; }

  [[nodiscard]] bool ReadVarint(std::uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      std::uint8_t byte;
      if (!Copy(1, &byte)) return false;
      // The tenth byte holds one bit; protobuf ignores what is above, we leave that to it.
      if (shift == 63 && byte > 1) return false;
      *value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  /// A varint that must fit 32 bits.
  [[nodiscard]] bool ReadVarint32(std::uint32_t* value) {
    std::uint64_t wide;
    if (!ReadVarint(&wide) || wide > 0xFFFFFFFFu) return false;
    *value = static_cast<std::uint32_t>(wide);
    return true;
  }

  /// A length that what remains can satisfy.
  [[nodiscard]] bool ReadLength(std::size_t* length) {
    std::uint64_t wide;
    if (!ReadVarint(&wide) || wide > remaining_) return false;
    *length = static_cast<std::size_t>(wide);
    return true;
  }

  [[nodiscard]] bool Copy(std::size_t bytes, void* out) {
    if (bytes > remaining_) return false;
    remaining_ -= bytes;
    auto* to = static_cast<std::uint8_t*>(out);
    while (bytes > 0) {
      if (at_ == end_) Enter(index_ + 1);
      const std::size_t n = std::min(bytes, static_cast<std::size_t>(end_ - at_));
      if (n > 0) std::memcpy(to, at_, n);
      at_ += n;
      to += n;
      bytes -= n;
    }
    return true;
  }

 private:
  void Enter(std::size_t index) {
    index_ = index;
    at_ = slices_[index].begin();
    end_ = slices_[index].end();
  }

  absl::Span<const grpc::Slice> slices_;
  std::size_t index_ = 0;
  const std::uint8_t* at_ = nullptr;
  const std::uint8_t* end_ = nullptr;
  std::size_t remaining_ = 0;
};

}  // namespace moesaic::rpc
