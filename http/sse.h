#pragma once

#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace moesaic::http {

/// `data: {payload}\n\n`. Requires: no line break in the payload (JSON as we print it has none).
std::string SseData(std::string_view payload);
/// A comment line, which clients ignore and which keeps proxies from timing out.
std::string SseComment(std::string_view text);

/// Cuts a byte stream into SSE events. Single-thread. Bounded: an event longer than
/// `max_event_bytes` is an error.
class SseParser {
 public:
  explicit SseParser(std::size_t max_event_bytes = 16 << 20) : max_event_bytes_(max_event_bytes) {}

  /// Takes the next bytes and calls `on_data` with the data of each event they complete (several
  /// data lines are joined by '\n'; comments and other fields are dropped). Errors:
  /// ResourceExhausted when an event is longer than allowed.
  absl::Status Feed(std::string_view bytes, absl::FunctionRef<void(std::string_view)> on_data);

 private:
  void TakeLine(std::string_view line, absl::FunctionRef<void(std::string_view)> on_data);

  std::size_t max_event_bytes_;
  std::string line_;
  std::string data_;
  bool has_data_ = false;
};

}  // namespace moesaic::http
