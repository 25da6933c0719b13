#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace moesaic::rpc::wire {

// Protobuf's wire format, as far as the Dispatch messages use it.

enum WireType : std::uint32_t { kVarint = 0, kLengthDelimited = 2 };

constexpr std::uint32_t Tag(std::uint32_t field, WireType type) { return field << 3 | type; }

constexpr std::size_t VarintBytes(std::uint64_t value) {
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

// Field numbers of v1.DispatchCall and v1.DispatchAnswer: both carry their work in field 2.
inline constexpr std::uint32_t kPayload = 2;

// Field numbers of v1.DispatchRequest.
namespace request {
inline constexpr std::uint32_t kDispatchId = 1;
inline constexpr std::uint32_t kLayer = 2;
inline constexpr std::uint32_t kEpoch = 3;
inline constexpr std::uint32_t kDtype = 4;
inline constexpr std::uint32_t kRemainingUs = 5;
inline constexpr std::uint32_t kRowCount = 6;
inline constexpr std::uint32_t kRows = 7;
inline constexpr std::uint32_t kScales = 8;
inline constexpr std::uint32_t kRowIndex = 9;
inline constexpr std::uint32_t kExpertId = 10;
inline constexpr std::uint32_t kWeight = 11;
inline constexpr std::uint32_t kAdapterId = 12;
inline constexpr std::uint32_t kTraceId = 13;
}  // namespace request

// Field numbers of v1.DispatchReply.
namespace reply {
inline constexpr std::uint32_t kDispatchId = 1;
inline constexpr std::uint32_t kCode = 2;
inline constexpr std::uint32_t kError = 3;
inline constexpr std::uint32_t kMore = 4;
inline constexpr std::uint32_t kDtype = 5;
inline constexpr std::uint32_t kRowIndex = 6;
inline constexpr std::uint32_t kUnitId = 7;
inline constexpr std::uint32_t kRows = 8;
inline constexpr std::uint32_t kMissingUnits = 9;
inline constexpr std::uint32_t kQueueDepthRows = 10;
inline constexpr std::uint32_t kQueueWaitUs = 11;
inline constexpr std::uint32_t kComputeUs = 12;
inline constexpr std::uint32_t kBatchRows = 13;
inline constexpr std::uint32_t kNsPerRow = 14;
inline constexpr std::uint32_t kNsPerExpert = 15;
}  // namespace reply

// Field numbers of v1.Epoch.
namespace epoch {
inline constexpr std::uint32_t kTerm = 1;
inline constexpr std::uint32_t kVersion = 2;
}  // namespace epoch

/// Writes fields into memory the caller has measured. As protobuf does, a field at its default
/// value is left out. Single-thread.
class FieldWriter {
 public:
  explicit FieldWriter(std::uint8_t* at) : at_(at) {}

  std::uint8_t* at() const { return at_; }

  void Varint(std::uint64_t value) {
    while (value >= 0x80) {
      *at_++ = static_cast<std::uint8_t>(value | 0x80);
      value >>= 7;
    }
    *at_++ = static_cast<std::uint8_t>(value);
  }
  void VarintField(std::uint32_t field, std::uint64_t value) {
    if (value == 0) return;
    Varint(Tag(field, kVarint));
    Varint(value);
  }
  /// The tag and length before `bytes` bytes that follow.
  void LengthPrefix(std::uint32_t field, std::size_t bytes) {
    Varint(Tag(field, kLengthDelimited));
    Varint(bytes);
  }
  void BytesField(std::uint32_t field, const void* data, std::size_t bytes) {
    if (bytes == 0) return;
    LengthPrefix(field, bytes);
    std::memcpy(at_, data, bytes);
    at_ += bytes;
  }

 private:
  std::uint8_t* at_;
};

/// Bytes of a length-delimited field, 0 when it is left out for being empty.
constexpr std::size_t BytesFieldBytes(std::uint32_t field, std::size_t bytes) {
  return bytes == 0 ? 0 : VarintBytes(Tag(field, kLengthDelimited)) + VarintBytes(bytes) + bytes;
}

}  // namespace moesaic::rpc::wire
