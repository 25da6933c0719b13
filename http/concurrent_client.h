#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "http/message.h"
#include "http/url.h"

namespace moesaic::http {

/// Many calls to one server at once, all on the caller's thread: epoll, a connection per call.
/// Single-thread.
class ConcurrentClient {
 public:
  using CallId = std::uint64_t;

  struct Options {
    absl::Duration connect_timeout = absl::Seconds(5);
    absl::Duration call_timeout = absl::Seconds(600);  ///< From Post to the answer's end.
    std::size_t max_response_bytes = 1 << 20;          ///< Of an answer that is no event stream.
    int interrupt_fd = -1;  ///< Ends Poll when it becomes readable; -1 = never. Not owned.
  };

  /// Hears of calls, within Poll. Times are monotonic: when the bytes were read.
  class Observer {
   public:
    virtual ~Observer() = default;
    /// The data of a server-sent event. Returning false ends the call.
    virtual bool OnEvent(CallId call, std::string_view data, absl::Duration at) = 0;
    /// The call is over. Errors: Unavailable when it could not connect, Aborted when the server
    /// broke off, DeadlineExceeded, and those of ResponseParser::Feed.
    virtual void OnDone(CallId call, absl::StatusOr<Response> response, absl::Duration at) = 0;
  };

  /// Finds the address of `url` that answers; the clock outlives the client. Errors: those of
  /// Socket::Connect and ParseUrl; ResourceExhausted when no descriptor is left.
  static absl::StatusOr<std::unique_ptr<ConcurrentClient>> Create(std::string_view url,
                                                                  const Options& options,
                                                                  const base::Clock& clock);
  ~ConcurrentClient();
  ConcurrentClient(const ConcurrentClient&) = delete;
  ConcurrentClient& operator=(const ConcurrentClient&) = delete;

  /// Begins a call; what comes of it, also that it could not begin, is for Poll to tell.
  CallId Post(std::string_view path, std::string_view body, const std::vector<Header>& headers);

  /// Waits until something happens, `until` at the latest, and tells `observer`. Returns false when
  /// it was interrupted.
  bool Poll(absl::Duration until, Observer& observer);

  std::size_t calls() const { return calls_.size(); }
  /// Gives up every call; the observer does not hear of them.
  void CancelAll();

 private:
  struct Call;
  using Calls = std::unordered_map<CallId, std::unique_ptr<Call>>;

  ConcurrentClient(Url url, const Options& options, const base::Clock& clock);
  absl::Status Open(const sockaddr_storage& address, socklen_t size);
  absl::Status Connect(CallId id, Call& call);
  void SetTimer(absl::Duration until);
  void OnReady(CallId id, std::uint32_t events, Observer& observer);
  absl::Status Send(CallId id, Call& call);
  absl::Status Receive(CallId id, Call& call, Observer& observer);
  void EndExpired(Observer& observer);
  void End(CallId id, absl::Status status, Observer& observer);

  const Url url_;
  const Options options_;
  const base::Clock& clock_;
  sockaddr_storage address_ = {};
  socklen_t address_size_ = 0;
  int epoll_fd_ = -1;
  int timer_fd_ = -1;
  std::vector<char> buffer_;
  CallId next_id_ = 1;
  Calls calls_;
  std::map<CallId, absl::Duration> connect_deadlines_;   // by id, so by time too
  std::map<CallId, absl::Duration> deadlines_;           // the same
  std::vector<std::pair<CallId, absl::Status>> failed_;  // before they began
};

}  // namespace moesaic::http
