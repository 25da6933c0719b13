#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "http/message.h"

namespace moesaic::http {

/// Sees the data of each server-sent event, "[DONE]" included; false = enough.
using OnEvent = absl::FunctionRef<bool(std::string_view)>;

/// Reads one HTTP/1.1 answer out of the bytes of a connection as they come. An event stream goes
/// event by event to who feeds it, its total unbounded and its pieces not; anything else is kept
/// whole. Single-thread.
class ResponseParser {
 public:
  enum class Body { kWhole, kEvents };
  /// kWhole keeps an event stream too. `max_body_bytes` bounds what is kept.
  ResponseParser(Body body, std::size_t max_body_bytes);
  ~ResponseParser();

  /// Takes the next bytes. Errors: DataLoss when this is no HTTP, ResourceExhausted when the answer
  /// or an event of it is too long.
  absl::Status Feed(std::string_view bytes, OnEvent on_event);
  /// The connection is over. Errors: Unavailable when the answer was not.
  absl::Status FeedEnd();
  /// All of it has come, or `on_event` had enough.
  bool done() const;
  /// The answer, once done; the body of an event stream is empty.
  Response Take();

 private:
  struct State;  // hides Beast, which takes long to compile
  std::unique_ptr<State> state_;
};

}  // namespace moesaic::http
