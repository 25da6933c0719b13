#include "monitoring/trace_context.h"

#include <algorithm>
#include <random>
#include <span>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace moesaic::monitoring {
namespace {

// Lengths of version, trace id, span id and flags, each followed by a dash but the last.
constexpr std::size_t kTraceAt = 3;
constexpr std::size_t kSpanAt = kTraceAt + 33;
constexpr std::size_t kFlagsAt = kSpanAt + 17;
constexpr std::size_t kLength = kFlagsAt + 2;
constexpr std::uint8_t kSampled = 1;

/// Value of a lower-case hexadecimal digit, -1 for anything else.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

/// Reads two digits a byte; false when there is anything else.
bool ReadHex(std::string_view text, std::span<std::uint8_t> bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const int high = HexValue(text[2 * i]);
    const int low = HexValue(text[2 * i + 1]);
    if (high < 0 || low < 0) return false;
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

bool AnySet(std::span<const std::uint8_t> bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t byte) { return byte != 0; });
}

std::string ToHex(std::span<const std::uint8_t> bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

/// Fills with random bytes, not all zero.
void Randomize(std::span<std::uint8_t> bytes) {
  std::random_device device;
  do {
    for (std::size_t i = 0; i < bytes.size(); i += 4) {
      const std::uint32_t word = device();
      for (std::size_t k = 0; k < 4; ++k) bytes[i + k] = static_cast<std::uint8_t>(word >> 8 * k);
    }
  } while (!AnySet(bytes));
}

/// Whether a trace belongs to the share that is kept: a function of its id, so that every process
/// that asks gets the same answer.
bool Chosen(const TraceId& trace_id, double ratio) {
  std::uint64_t low = 0;  // 56 bits, what the specification's level 2 calls random
  for (std::size_t i = 9; i < 16; ++i) low = low << 8 | trace_id[i];
  return static_cast<double>(low) < ratio * static_cast<double>(std::uint64_t{1} << 56);
}

}  // namespace

std::optional<TraceContext> ParseTraceparent(std::string_view header) {
  std::array<std::uint8_t, 1> version;
  std::array<std::uint8_t, 1> flags;
  TraceContext context;
  if (header.size() < kLength || header[2] != '-' || header[kSpanAt - 1] != '-' ||
      header[kFlagsAt - 1] != '-' || !ReadHex(header, version) ||
      !ReadHex(header.substr(kTraceAt), context.trace_id) ||
      !ReadHex(header.substr(kSpanAt), context.span_id) ||
      !ReadHex(header.substr(kFlagsAt), flags)) {
    return std::nullopt;
  }
  if (version[0] == 0xFF) return std::nullopt;
  if (header.size() > kLength && (version[0] == 0 || header[kLength] != '-')) return std::nullopt;
  if (!AnySet(context.trace_id) || !AnySet(context.span_id)) return std::nullopt;
  context.sampled = (flags[0] & kSampled) != 0;
  return context;
}

std::string FormatTraceparent(const TraceContext& context) {
  return absl::StrCat("00-", ToHex(context.trace_id), "-", ToHex(context.span_id),
                      context.sampled ? "-01" : "-00");
}

TraceContext ContinueTrace(std::string_view header, double ratio) {
  TraceContext context;
  if (std::optional<TraceContext> caller = ParseTraceparent(header)) {
    context = *caller;
  } else {
    Randomize(context.trace_id);
    context.sampled = Chosen(context.trace_id, ratio);
  }
  Randomize(context.span_id);
  return context;
}

std::string TraceIdText(const TraceId& trace_id) { return ToHex(trace_id); }

}  // namespace moesaic::monitoring
