#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/message.h"
#include "http/url.h"

namespace moesaic::http {

/// Limits of a client.
struct ClientOptions {
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration read_timeout = absl::Seconds(600);  ///< Without any byte arriving.
  std::size_t max_response_bytes = 256 << 20;
  /// A call is given up, Cancelled, when this descriptor becomes readable; -1 = never. Not owned.
  int interrupt_fd = -1;
};

/// A small blocking HTTP/1.1 client for command-line tools and tests: one connection per call.
/// Immutable; calls may run in parallel.
class Client {
 public:
  /// `url`: "http://host[:port][/prefix]". Errors: InvalidArgument for anything else.
  static absl::StatusOr<Client> Create(std::string_view url, ClientOptions options = {});

  /// Any answer of the server is OK, whatever its status. Errors: Unavailable when it cannot be
  /// reached or breaks off, DeadlineExceeded, ResourceExhausted for an answer that is too long,
  /// DataLoss for one that is no HTTP, Cancelled by the interrupt_fd.
  absl::StatusOr<Response> Get(std::string_view path, std::vector<Header> headers = {}) const;
  absl::StatusOr<Response> Post(std::string_view path, std::string body,
                                std::vector<Header> headers = {}) const;
  absl::StatusOr<Response> Put(std::string_view path, std::string body) const;

  /// Posts and calls `on_data` with the data of each server-sent event as it arrives, "[DONE]"
  /// included; `on_data` returning false disconnects. An answer that is no event stream comes back
  /// whole; after an event stream the body is empty.
  absl::StatusOr<Response> PostStreaming(std::string_view path, std::string body,
                                         absl::FunctionRef<bool(std::string_view)> on_data,
                                         std::vector<Header> headers = {}) const;

 private:
  Client(Url url, ClientOptions options) : url_(std::move(url)), options_(options) {}

  Url url_;
  ClientOptions options_;
};

}  // namespace moesaic::http
