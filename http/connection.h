#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/exchange_state.h"
#include "http/growing_body.h"
#include "http/server.h"

namespace moesaic::http {

/// One client connection: reads requests one after another (pipelined ones wait in the buffer),
/// hands them to the routes and writes the answers. All state belongs to the socket's strand; only
/// the methods marked so may be called from elsewhere. Kept alive by its pending operations.
class Connection final : public ExchangeOutput, public std::enable_shared_from_this<Connection> {
 public:
  /// What a connection needs of its server; outlives it.
  struct Host {
    const ServerOptions& options;
    const RouteTable& routes;
    std::atomic<std::size_t>& bodies_bytes;  ///< Held by all connections.
    std::function<bool()> draining;
    std::function<void(Connection*)> on_closed;
  };

  Connection(boost::asio::ip::tcp::socket socket, const Host& host);

  // From any thread.
  void Start();
  /// Answers 503 and closes.
  void Refuse();
  /// Closes now if idle, else behind the answer in progress.
  void Drain();
  void SendResponse(Response response) override;
  void SendStreamHead(std::vector<Header> headers) override;
  void SendStreamBytes(std::string bytes) override;
  void SendStreamEnd() override;
  void Drop() override;

 private:
  using Parser = boost::beast::http::request_parser<GrowingBody>;
  enum class Phase { kIdle, kHeader, kBody, kAnswering, kLingering, kClosed };
  /// Bytes on their way out; `charge` of them count against the stream's buffer.
  struct Outgoing {
    std::string bytes;
    std::size_t charge = 0;
  };

  void SetTcpOption(int name, int value);
  void PostToStrand(absl::AnyInvocable<void()> task);
  void WaitForRequest();
  /// Keeps one read pending while there is nothing to parse, to notice the client's leaving.
  void Watch();
  /// The client has closed its side.
  void OnPeerGone();
  void ReadRequest();
  void OnHeader(boost::system::error_code error);
  /// Parses what the buffer holds of the body, and reads on until it is whole.
  void ReadBody();
  /// False when the request has been refused.
  bool ParseBody();
  /// Accounts for what has been read of the body; false when all connections together hold too
  /// much.
  bool ChargeBody();
  void ReleaseBody();
  void OnReadError(boost::system::error_code error);
  void Dispatch();
  absl::StatusOr<Request> TakeRequest();
  void Fail(const absl::Status& status);

  void WriteResponse(const Response& response);
  std::string Head(int status, const std::vector<Header>& headers) const;
  /// Queues `bytes` of the stream.
  void WriteStream(std::string_view bytes, std::size_t charge);
  void Enqueue(std::string bytes, std::size_t charge);
  void WriteNext();
  void OnAnswerWritten();

  /// Reads and drops what the client still sends, for a while, so that closing does not reset the
  /// connection before it has read the answer.
  void Linger();
  void LingerRead();
  void SetDeadline(absl::Duration timeout);
  void ClearDeadline();
  void OnDeadline();
  void ReportFinished(const Request& request);
  void Close();

  const Host& host_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer timer_;
  std::uint64_t deadline_id_ = 0;
  Phase phase_ = Phase::kIdle;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::size_t charged_body_bytes_ = 0;
  bool watching_ = false;
  bool timed_out_ = false;

  std::shared_ptr<ExchangeState> exchange_;
  std::chrono::steady_clock::time_point started_;
  int status_ = 0;
  bool keep_alive_ = true;
  bool http_1_0_ = false;
  bool head_only_ = false;
  bool streaming_ = false;
  bool answer_complete_ = false;

  std::deque<Outgoing> outgoing_;
  std::size_t written_of_front_ = 0;
  bool writing_ = false;
  bool linger_after_answer_ = false;
  std::size_t lingered_bytes_ = 0;
};

}  // namespace moesaic::http
