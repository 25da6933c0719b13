#include "http/client.h"

#include <utility>

#include "base/status_macros.h"
#include "http/request_text.h"
#include "http/response_parser.h"
#include "http/socket.h"

namespace moesaic::http {
namespace {

absl::StatusOr<Response> ReadResponse(const Socket& socket, const ClientOptions& options,
                                      ResponseParser& parser, OnEvent on_event) {
  std::string chunk(64 << 10, '\0');
  while (!parser.done()) {
    MOESAIC_ASSIGN_OR_RETURN(const std::size_t n,
                             socket.Read(chunk.data(), chunk.size(), options.read_timeout));
    MOESAIC_RETURN_IF_ERROR(n == 0 ? parser.FeedEnd()
                                   : parser.Feed(std::string_view(chunk).substr(0, n), on_event));
  }
  return parser.Take();
}

/// One exchange on a connection of its own.
absl::StatusOr<Response> Call(const Url& url, const ClientOptions& options,
                              const RequestText& request, ResponseParser::Body kind,
                              OnEvent on_event) {
  MOESAIC_ASSIGN_OR_RETURN(const Socket socket,
                           Socket::Connect(url, options.connect_timeout, options.interrupt_fd));
  const absl::Status sent = socket.WriteAll(FormatRequest(url, request), options.read_timeout);
  // A server may refuse and stop reading a body: its answer says more than our broken pipe.
  ResponseParser parser(kind, options.max_response_bytes);
  absl::StatusOr<Response> response = ReadResponse(socket, options, parser, on_event);
  return !response.ok() && !sent.ok() ? sent : std::move(response);
}

absl::StatusOr<Response> CallWhole(const Url& url, const ClientOptions& options,
                                   const RequestText& request) {
  return Call(url, options, request, ResponseParser::Body::kWhole,
              [](std::string_view) { return true; });
}

}  // namespace

absl::StatusOr<Client> Client::Create(std::string_view url, ClientOptions options) {
  MOESAIC_ASSIGN_OR_RETURN(Url parsed, ParseUrl(url));
  return Client(std::move(parsed), options);
}

absl::StatusOr<Response> Client::Get(std::string_view path, std::vector<Header> headers) const {
  return CallWhole(url_, options_, {"GET", path, "", headers});
}

absl::StatusOr<Response> Client::Post(std::string_view path, std::string body,
                                      std::vector<Header> headers) const {
  return CallWhole(url_, options_, {"POST", path, body, headers});
}

absl::StatusOr<Response> Client::Put(std::string_view path, std::string body) const {
  return CallWhole(url_, options_, {"PUT", path, body, {}});
}

absl::StatusOr<Response> Client::PostStreaming(std::string_view path, std::string body,
                                               absl::FunctionRef<bool(std::string_view)> on_data,
                                               std::vector<Header> headers) const {
  return Call(url_, options_, {"POST", path, body, headers}, ResponseParser::Body::kEvents,
              on_data);
}

}  // namespace moesaic::http
