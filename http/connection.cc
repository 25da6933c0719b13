#include "http/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/read_size.hpp>
#include <boost/beast/http/read.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/log.h"
#include "base/retry_delay.h"
#include "base/strings.h"
#include "http/error_map.h"
#include "http/last_chunk.h"
#include "http/sse.h"

namespace moesaic::http {
namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kSocketReadBytes = 16 << 10;
// What may wait in the buffer to be parsed beside a header: a read of Beast's.
constexpr std::size_t kParseBytes = 64 << 10;
// A client that sends 100 MB before it reads gets to see its 413; one that never stops does not
// hold the connection for longer than this.
constexpr absl::Duration kLingerTime = absl::Seconds(5);
constexpr std::size_t kMaxLingerBytes = 256 << 20;
// A silent connection is probed after this long, and given up when so many probes in a row, so far
// apart, are not answered: a client that has vanished while it waits is noticed within a minute.
constexpr int kProbeAfterS = 30;
constexpr int kProbeIntervalS = 10;
constexpr int kProbes = 3;

std::string_view Reason(int status) {
  if (status == 499) return "Client Closed Request";
  const boost::beast::string_view reason = bhttp::obsolete_reason(bhttp::int_to_status(status));
  return {reason.data(), reason.size()};
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> PercentDecode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return absl::InvalidArgumentError("malformed percent-encoded path");
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

/// A header value of our own or of a handler: line breaks would start a header of their own.
bool IsSafeHeader(const Header& header) {
  return header.name.find_first_of("\r\n:") == std::string::npos &&
         header.value.find_first_of("\r\n") == std::string::npos;
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const Host& host)
    : host_(host),
      socket_(std::move(socket)),
      timer_(socket_.get_executor()),
      buffer_(host.options.max_header_bytes + kParseBytes) {
  error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  SetTcpOption(TCP_KEEPIDLE, kProbeAfterS);
  SetTcpOption(TCP_KEEPINTVL, kProbeIntervalS);
  SetTcpOption(TCP_KEEPCNT, kProbes);
  SetTcpOption(TCP_USER_TIMEOUT,
               static_cast<int>(absl::ToInt64Milliseconds(host.options.write_timeout)));
}

void Connection::SetTcpOption(int name, int value) {
  // What a kernel does not know it goes without.
  static_cast<void>(setsockopt(socket_.native_handle(), IPPROTO_TCP, name, &value, sizeof(value)));
}

void Connection::PostToStrand(absl::AnyInvocable<void()> task) {
  asio::post(socket_.get_executor(),
             [self = shared_from_this(), task = std::move(task)]() mutable { task(); });
}

void Connection::Start() {
  PostToStrand([this] { WaitForRequest(); });
}

void Connection::Refuse() {
  PostToStrand([this] { Fail(absl::UnavailableError("too many connections")); });
}

void Connection::Drain() {
  PostToStrand([this] {
    keep_alive_ = false;
    if (phase_ == Phase::kIdle) Close();
  });
}

void Connection::Drop() {
  PostToStrand([this] { Close(); });
}

// ---- reading -----------------------------------------------------------------------------------

void Connection::WaitForRequest() {
  phase_ = Phase::kIdle;
  if (host_.draining()) return Close();
  if (buffer_.size() > 0) return ReadRequest();
  SetDeadline(host_.options.idle_timeout);
  Watch();
}

void Connection::Watch() {
  // With pipelined bytes in the buffer no read is pending: they may not be joined by more, and a
  // disconnect is then noticed by the next write.
  if (watching_ || buffer_.size() > 0) return;
  watching_ = true;
  socket_.async_read_some(buffer_.prepare(kSocketReadBytes),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            self->watching_ = false;
                            if (self->phase_ == Phase::kClosed) return;
                            if (error) return self->OnPeerGone();
                            self->buffer_.commit(bytes);
                            if (self->phase_ == Phase::kIdle) self->ReadRequest();
                          });
}

void Connection::OnPeerGone() {
  // The end of the answer may have been sent and its write not yet reported: that write decides
  // whether the client was answered.
  keep_alive_ = false;
  if (phase_ == Phase::kAnswering && answer_complete_ && writing_) return;
  Close();
}

void Connection::ReadRequest() {
  phase_ = Phase::kHeader;
  SetDeadline(host_.options.header_timeout);
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(host_.options.max_header_bytes));
  parser_->body_limit(host_.options.max_body_bytes);
  bhttp::async_read_header(
      socket_, buffer_, *parser_,
      [self = shared_from_this()](error_code error, std::size_t) { self->OnHeader(error); });
}

void Connection::OnHeader(error_code error) {
  if (phase_ == Phase::kClosed) return;
  if (error) return OnReadError(error);
  // RFC 9112, section 6.3: where such a body ends cannot be told, and what we took for the next
  // request another server on the way may have taken for a part of this one.
  if (parser_->get().count(bhttp::field::transfer_encoding) > 0 && !parser_->chunked()) {
    return Fail(absl::InvalidArgumentError("a transfer-encoding that does not end in chunked"));
  }
  phase_ = Phase::kBody;
  SetDeadline(host_.options.body_timeout);
  const auto expect = parser_->get()[bhttp::field::expect];
  if (boost::beast::iequals(expect, "100-continue")) {
    Enqueue("HTTP/1.1 100 Continue\r\n\r\n", 0);
  }
  ReadBody();
}

void Connection::ReadBody() {
  if (!ParseBody()) return;
  if (parser_->is_done()) return Dispatch();
  const std::size_t room = boost::beast::read_size(buffer_, kParseBytes);
  if (room == 0) return OnReadError(bhttp::error::buffer_overflow);
  socket_.async_read_some(buffer_.prepare(room),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            if (self->phase_ == Phase::kClosed) return;
                            if (error) return self->OnReadError(error);
                            self->buffer_.commit(bytes);
                            self->ReadBody();
                          });
}

bool Connection::ParseBody() {
  error_code error;
  while (!error && !parser_->is_done() && buffer_.size() > 0) {
    const auto bytes = buffer_.cdata();
    if (parser_->chunked() && MustAwaitMore({static_cast<const char*>(bytes.data()), bytes.size()}))
      break;
    buffer_.consume(parser_->put(bytes, error));
    if (!ChargeBody()) {
      // At once, not when the refusal has been sent: others may use the room.
      parser_->get().body() = std::string();
      ReleaseBody();
      Fail(base::WithRetryDelay(absl::UnavailableError("the server holds too many request bodies"),
                                absl::Seconds(1)));
      return false;
    }
  }
  if (!error || error == bhttp::error::need_more) return true;
  OnReadError(error);
  return false;
}

bool Connection::ChargeBody() {
  const std::size_t more = parser_->get().body().size() - charged_body_bytes_;
  charged_body_bytes_ += more;
  return host_.bodies_bytes.fetch_add(more) + more <= host_.options.max_bodies_bytes;
}

void Connection::ReleaseBody() {
  host_.bodies_bytes.fetch_sub(std::exchange(charged_body_bytes_, 0));
}

void Connection::OnReadError(error_code error) {
  if (timed_out_) {
    return Fail(WithHttpStatus(
        absl::DeadlineExceededError("the request did not arrive within the time limit"), 408));
  }
  if (error == bhttp::error::body_limit) {
    return Fail(WithErrorCode(WithHttpStatus(absl::InvalidArgumentError(absl::StrCat(
                                                 "the request body is larger than the limit of ",
                                                 host_.options.max_body_bytes, " bytes")),
                                             413),
                              "request_too_large"));
  }
  if (error == bhttp::error::header_limit) {
    return Fail(WithHttpStatus(
        absl::InvalidArgumentError(absl::StrCat("the request headers are larger than the limit of ",
                                                host_.options.max_header_bytes, " bytes")),
        431));
  }
  if (error.category() == bhttp::make_error_code(bhttp::error::bad_method).category() &&
      error != bhttp::error::end_of_stream && error != bhttp::error::partial_message) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("malformed HTTP request: ", error.message())));
  }
  Close();
}

absl::StatusOr<Request> Connection::TakeRequest() {
  auto message = parser_->release();
  Request request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t query = target.find('?');
  if (query != std::string::npos) request.query = target.substr(query + 1);
  absl::StatusOr<std::string> path = PercentDecode(std::string_view(target).substr(0, query));
  if (!path.ok()) return path.status();
  request.path = *std::move(path);
  for (const auto& field : message) {
    request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  request.body = std::move(message.body());
  error_code ignored;
  request.peer = socket_.remote_endpoint(ignored).address().to_string();
  return request;
}

void Connection::Dispatch() {
  ClearDeadline();
  const auto& message = parser_->get();
  keep_alive_ = message.keep_alive() && !host_.draining();
  http_1_0_ = message.version() < 11;
  head_only_ = message.method() == bhttp::verb::head;
  absl::StatusOr<Request> request = TakeRequest();
  parser_.reset();
  if (!request.ok()) return Fail(request.status());

  RouteTable::Match match = host_.routes.Find(request->method, request->path);
  request->path_tail = std::move(match.path_tail);
  phase_ = Phase::kAnswering;
  started_ = std::chrono::steady_clock::now();
  streaming_ = false;
  answer_complete_ = false;
  exchange_ = std::make_shared<ExchangeState>(*std::move(request), shared_from_this(),
                                              host_.options.max_stream_buffer_bytes);
  Watch();
  std::shared_ptr<Exchange> handle = MakeExchange(exchange_);
  if (match.handler != nullptr) return (*match.handler)(std::move(handle));
  if (match.allowed_methods.empty()) {
    handle->Respond(
        ErrorResponse(absl::NotFoundError(absl::StrCat("no such path: ", handle->request().path))));
  } else {
    Response response = ErrorResponse(
        WithHttpStatus(absl::InvalidArgumentError("this path does not support this method"), 405));
    response.headers.push_back({"allow", absl::StrJoin(match.allowed_methods, ", ")});
    handle->Respond(std::move(response));
  }
}

void Connection::Fail(const absl::Status& status) {
  phase_ = Phase::kAnswering;
  ClearDeadline();
  keep_alive_ = false;
  linger_after_answer_ = true;
  head_only_ = false;
  Request request;
  if (parser_) {  // what was read of it
    if (absl::StatusOr<Request> read = TakeRequest(); read.ok()) request = *std::move(read);
  }
  started_ = std::chrono::steady_clock::now();
  const Response response = ErrorResponse(status);
  status_ = response.status;
  ReportFinished(request);  // before the client can know of it
  WriteResponse(response);
}

// ---- writing -----------------------------------------------------------------------------------

void Connection::SendResponse(Response response) {
  PostToStrand([this, response = std::move(response)] { WriteResponse(response); });
}

void Connection::WriteResponse(const Response& response) {
  status_ = response.status;
  std::vector<Header> headers = {{"content-type", response.content_type},
                                 {"content-length", absl::StrCat(response.body.size())}};
  headers.insert(headers.end(), response.headers.begin(), response.headers.end());
  std::string bytes = Head(response.status, headers);
  if (!head_only_) bytes += response.body;
  answer_complete_ = true;
  Enqueue(std::move(bytes), 0);
}

void Connection::SendStreamHead(std::vector<Header> extra) {
  PostToStrand([this, extra = std::move(extra)] {
    status_ = 200;
    streaming_ = true;
    std::vector<Header> headers = {{"content-type", "text/event-stream; charset=utf-8"},
                                   {"cache-control", "no-cache"},
                                   {"x-accel-buffering", "no"}};
    // HTTP/1.0 knows no chunks: there the end of the connection ends the stream.
    if (http_1_0_) {
      keep_alive_ = false;
    } else {
      headers.push_back({"transfer-encoding", "chunked"});
    }
    headers.insert(headers.end(), extra.begin(), extra.end());
    Enqueue(Head(200, headers), 0);
  });
}

void Connection::SendStreamBytes(std::string bytes) {
  PostToStrand([this, bytes = std::move(bytes)] { WriteStream(bytes, bytes.size()); });
}

void Connection::WriteStream(std::string_view bytes, std::size_t charge) {
  const absl::string_view data = base::ToAbsl(bytes);
  Enqueue(
      http_1_0_ ? std::string(data) : absl::StrCat(absl::Hex(data.size()), "\r\n", data, "\r\n"),
      charge);
}

void Connection::SendStreamEnd() {
  PostToStrand([this] {
    answer_complete_ = true;
    Enqueue(http_1_0_ ? "" : "0\r\n\r\n", 0);
  });
}

std::string Connection::Head(int status, const std::vector<Header>& headers) const {
  const std::string_view reason = Reason(status);
  std::string head =
      absl::StrCat("HTTP/1.1 ", status, " ", absl::string_view(reason.data(), reason.size()),
                   "\r\n", "connection: ", keep_alive_ ? "keep-alive" : "close", "\r\n");
  for (const Header& header : headers) {
    if (IsSafeHeader(header)) absl::StrAppend(&head, header.name, ": ", header.value, "\r\n");
  }
  head += "\r\n";
  return head;
}

void Connection::Enqueue(std::string bytes, std::size_t charge) {
  if (phase_ == Phase::kClosed) return;
  if (!bytes.empty()) outgoing_.push_back({std::move(bytes), charge});
  if (!writing_) WriteNext();
}

void Connection::WriteNext() {
  if (outgoing_.empty()) {
    if (phase_ == Phase::kAnswering) {
      ClearDeadline();
      if (answer_complete_) return OnAnswerWritten();
      if (streaming_) SetDeadline(host_.options.stream_keep_alive);
    }
    return;
  }
  writing_ = true;
  if (phase_ == Phase::kAnswering) SetDeadline(host_.options.write_timeout);
  const std::string& bytes = outgoing_.front().bytes;
  socket_.async_write_some(
      asio::buffer(bytes.data() + written_of_front_, bytes.size() - written_of_front_),
      [self = shared_from_this()](error_code error, std::size_t written) {
        self->writing_ = false;
        if (self->phase_ == Phase::kClosed) return;
        if (error) return self->Close();
        self->written_of_front_ += written;
        const Outgoing& front = self->outgoing_.front();
        if (self->written_of_front_ == front.bytes.size()) {
          if (self->exchange_ && front.charge > 0) self->exchange_->OnWritten(front.charge);
          self->outgoing_.pop_front();
          self->written_of_front_ = 0;
        }
        self->WriteNext();
      });
}

void Connection::OnAnswerWritten() {
  answer_complete_ = false;
  if (exchange_) {
    ReportFinished(exchange_->request());
    std::exchange(exchange_, nullptr)->Close(/*complete=*/true);
  }
  ReleaseBody();
  if (linger_after_answer_) return Linger();
  if (!keep_alive_) return Close();
  WaitForRequest();
}

// ---- time limits and the end -------------------------------------------------------------------

void Connection::Linger() {
  phase_ = Phase::kLingering;
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  buffer_.clear();
  SetDeadline(kLingerTime);
  LingerRead();
}

void Connection::LingerRead() {
  socket_.async_read_some(buffer_.prepare(kSocketReadBytes),
                          [self = shared_from_this()](error_code error, std::size_t bytes) {
                            if (self->phase_ == Phase::kClosed) return;
                            self->lingered_bytes_ += bytes;
                            if (error || self->lingered_bytes_ > kMaxLingerBytes) {
                              return self->Close();
                            }
                            self->LingerRead();
                          });
}

void Connection::SetDeadline(absl::Duration timeout) {
  const std::uint64_t id = ++deadline_id_;
  timer_.expires_after(absl::ToChronoNanoseconds(timeout));
  timer_.async_wait([self = shared_from_this(), id](error_code error) {
    if (!error && id == self->deadline_id_) self->OnDeadline();
  });
}

void Connection::ClearDeadline() {
  ++deadline_id_;
  timer_.cancel();
}

void Connection::OnDeadline() {
  if (phase_ == Phase::kHeader || phase_ == Phase::kBody) {
    timed_out_ = true;  // the pending read ends and OnReadError answers
    error_code ignored;
    socket_.cancel(ignored);
    return;
  }
  // With nothing to write, the time was that of a silent stream.
  if (phase_ == Phase::kAnswering && !writing_) return WriteStream(SseComment("keep-alive"), 0);
  Close();
}

void Connection::ReportFinished(const Request& request) {
  if (!host_.options.on_finished) return;
  const auto elapsed = std::chrono::steady_clock::now() - started_;
  host_.options.on_finished(request, status_, absl::FromChrono(elapsed));
}

void Connection::Close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  ClearDeadline();
  error_code ignored;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  socket_.close(ignored);
  ReleaseBody();
  if (exchange_) {
    status_ = 499;
    ReportFinished(exchange_->request());
    std::exchange(exchange_, nullptr)->Close(/*complete=*/false);
  }
  host_.on_closed(this);
}

}  // namespace moesaic::http
