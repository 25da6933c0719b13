#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "http/exchange.h"

namespace moesaic::http {

/// The connection as an exchange sees it. Every call is posted to the connection's strand and
/// returns at once. Thread-safe.
class ExchangeOutput {
 public:
  virtual ~ExchangeOutput() = default;
  virtual void SendResponse(Response response) = 0;
  virtual void SendStreamHead(std::vector<Header> headers) = 0;
  virtual void SendStreamBytes(std::string bytes) = 0;
  virtual void SendStreamEnd() = 0;
  /// Breaks the connection off.
  virtual void Drop() = 0;
};

/// What a connection and the handler's Exchange share: who may still send, how much is unsent, whom
/// to tell of a disconnect. Survives the connection. Thread-safe.
class ExchangeState {
 public:
  ExchangeState(Request request, std::shared_ptr<ExchangeOutput> output,
                std::size_t max_stream_buffer_bytes);

  const Request& request() const { return request_; }

  // The handler's side; the methods of Exchange.
  void Respond(Response response);
  void StartStream(std::vector<Header> headers);
  bool Write(std::string bytes);
  void FinishStream();
  void OnDisconnect(absl::AnyInvocable<void()> gone);
  /// The handler let go of the exchange: answers 500 if nobody did, breaks off a stream left open.
  void Abandon();

  // The connection's side.
  /// `bytes` of the stream have left the buffer.
  void OnWritten(std::size_t bytes);
  /// Nothing can be sent any more. Unless the answer was `complete`, the handler is told.
  void Close(bool complete);

 private:
  enum class Stage { kUnanswered, kStreaming, kAnswered };

  const Request request_;
  const std::size_t max_stream_buffer_bytes_;
  base::Mutex mutex_;
  Stage stage_ ABSL_GUARDED_BY(mutex_) = Stage::kUnanswered;
  std::size_t unsent_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool disconnected_ ABSL_GUARDED_BY(mutex_) = false;
  // Null once closed. Called under the mutex, so that nothing is posted to a connection, or an
  // io_context, that Close has let go; its calls only post.
  std::shared_ptr<ExchangeOutput> output_ ABSL_GUARDED_BY(mutex_);
  absl::AnyInvocable<void()> on_disconnect_ ABSL_GUARDED_BY(mutex_);
};

/// The handler's end: abandons the exchange when its last owner goes.
std::shared_ptr<Exchange> MakeExchange(std::shared_ptr<ExchangeState> state);

}  // namespace moesaic::http
