#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "http/message.h"

namespace moesaic::http {

/// One request and its answer, which may come later and from any thread. Thread-safe. A handler
/// answers with Respond once, or with StartStream, any number of Write and one FinishStream. An
/// exchange that its last owner drops unanswered gives the client a 500.
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual const Request& request() const = 0;

  /// Sends a whole answer. Ignored when the client has gone.
  virtual void Respond(Response response) = 0;

  /// Begins an event stream: sends status 200 and the SSE headers with `headers` added.
  virtual void StartStream(std::vector<Header> headers) = 0;
  /// Queues bytes of the stream (whole SSE events, see http/sse.h). Returns false when they were
  /// not taken: the client has gone, or has not read for so long that its buffer is full, in which
  /// case it is disconnected.
  virtual bool Write(std::string bytes) = 0;
  /// Ends the stream; the connection stays usable for the next request.
  virtual void FinishStream() = 0;

  /// `gone` is called once, on an io thread, if the client disconnects (or is dropped) before the
  /// answer is complete; at once when it already has. It must not block. Set at most once.
  virtual void OnDisconnect(absl::AnyInvocable<void()> gone) = 0;
};

/// Answers an exchange, now or later. Runs on an io thread, so it must not block.
using Handler = std::function<void(std::shared_ptr<Exchange>)>;

}  // namespace moesaic::http
