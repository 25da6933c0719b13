#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moesaic::monitoring {

using TraceId = std::array<std::uint8_t, 16>;

/// What ties the records of one request together over all processes: W3C Trace Context, level 1
/// (https://www.w3.org/TR/trace-context-1/, header `traceparent`). Plain value.
struct TraceContext {
  TraceId trace_id = {};                     ///< Never all zero.
  std::array<std::uint8_t, 8> span_id = {};  ///< Who calls; never all zero.
  bool sampled = false;                      ///< The caller keeps its part.

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

/// Reads a traceparent. None for what the specification says to ignore: another length or case,
/// ids that are all zero, version ff, more than the four fields in version 00. Of later versions
/// the first four fields count.
std::optional<TraceContext> ParseTraceparent(std::string_view header);
/// As version 00.
std::string FormatTraceparent(const TraceContext& context);

/// The context in which this process serves a request that came with `header`: the caller's trace,
/// or a new one when it has none, and a span of its own. `ratio` of new traces are sampled.
TraceContext ContinueTrace(std::string_view header, double ratio);

/// The trace id as 32 hexadecimal digits.
std::string TraceIdText(const TraceId& trace_id);

}  // namespace moesaic::monitoring
