#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "http/exchange.h"

namespace moesaic::placement {

/// The console's prompt box: passes a prompt to a router and its streamed answer back, each chunk
/// with the experts of its tokens. A router that does not show them answers without; the stream's
/// first event then says so. Few at a time, each on a thread of its own. Thread-safe.
class ConsoleChat {
 public:
  /// Starts nothing.
  ConsoleChat() = default;
  /// Breaks off what is in progress.
  ~ConsoleChat();

  /// Answers {"prompt", "max_tokens"} with the event stream of `router` ("host:port"), or with an
  /// error object: 429 while all places are taken.
  void Answer(std::shared_ptr<http::Exchange> exchange, const std::string& router);

  /// The router's request body for the console's, or why there is none. For tests, too.
  static absl::StatusOr<std::string> RouterBody(std::string_view console_body, bool with_experts);

 private:
  static constexpr std::size_t kAtATime = 4;
  /// A place for a chat. Its descriptor interrupts it.
  struct Place {
    std::thread thread;
    bool busy = false;
    std::shared_ptr<int> interrupt;  // an eventfd; null before the first chat
  };

  void Run(http::Exchange& exchange, const std::string& router, int interrupt_fd);

  base::Mutex mutex_;
  std::array<Place, kAtATime> places_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::placement
