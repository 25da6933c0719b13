#include "rpc/dispatch_client.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "grpcpp/alarm.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/async_stream.h"
#include "rpc/channel_factory.h"
#include "rpc/dispatch_wire.h"
#include "rpc/status_map.h"
#include "rpc/write_queue.h"

namespace moesaic::rpc {
namespace {

constexpr char kDispatchMethod[] = "/moesaic.v1.ExpertShard/Dispatch";

/// Counts what is still to come, so that somebody can wait for the last of it. Thread-safe.
class PendingCount {
 public:
  void Add() {
    base::MutexLock lock(mutex_);
    ++count_;
  }
  void Remove() {
    base::MutexLock lock(mutex_);
    if (--count_ == 0) none_.NotifyAll();
  }
  void WaitForNone() {
    base::MutexLock lock(mutex_);
    while (count_ > 0) none_.Wait(mutex_);
  }

 private:
  base::Mutex mutex_;
  base::CondVar none_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace

/// The reconnecting client: at most one Session at a time, and between two sessions a timer.
class DispatchClient::Impl : public std::enable_shared_from_this<DispatchClient::Impl> {
 public:
  Impl(Options options, std::shared_ptr<grpc::Channel> channel, CompletionQueuePoller& poller,
       BufferPool& pool, DispatchClientHandler& handler)
      : options_(std::move(options)),
        channel_(std::move(channel)),
        poller_(poller),
        pool_(pool),
        handler_(handler),
        backoff_(options_.initial_backoff) {}

  /// Connects from the polling thread after `delay`; nothing when stopping. Every stream is begun
  /// there, so that all its events follow on the same thread.
  void ConnectAfter(absl::Duration delay);
  void Stop();
  absl::Status Send(const Dispatch& dispatch);
  void Cancel(absl::Span<const std::uint64_t> dispatch_ids);
  bool connected() const { return connected_.load(); }
  absl::Status last_error() const;

 private:
  class Event;
  class Session;

  // Called by the session, on the polling thread.
  void SessionConnected(const PeerHello& shard);
  void SessionEnded(const absl::Status& status);
  void Connect();
  /// The session that is connected, or nullptr.
  std::shared_ptr<Session> Current() const;

  const Options options_;
  const std::shared_ptr<grpc::Channel> channel_;
  CompletionQueuePoller& poller_;
  BufferPool& pool_;
  DispatchClientHandler& handler_;
  std::atomic<bool> connected_{false};
  PendingCount pending_;  // sessions, and events that are to come

  mutable base::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<Session> session_ ABSL_GUARDED_BY(mutex_);  // being opened or open
  std::unique_ptr<grpc::Alarm> connect_timer_ ABSL_GUARDED_BY(mutex_);
  absl::Duration backoff_ ABSL_GUARDED_BY(mutex_);
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
};

/// A tag that keeps its owner alive and counted while its event is to come.
class DispatchClient::Impl::Event final : public CompletionEvent {
 public:
  explicit Event(std::function<void(bool)> handle) : handle_(std::move(handle)) {}

  /// The tag for one operation. `owner` holds this event.
  void* Arm(std::shared_ptr<Impl> client, std::shared_ptr<void> owner) {
    client->pending_.Add();
    client_ = std::move(client);
    owner_ = std::move(owner);
    return Tag();
  }
  void OnEvent(bool ok) override {
    // Moved out first: handling may arm the event again.
    const std::shared_ptr<Impl> client = std::move(client_);
    const std::shared_ptr<void> owner = std::move(owner_);
    handle_(ok);
    client->pending_.Remove();
  }

 private:
  const std::function<void(bool)> handle_;
  std::shared_ptr<Impl> client_;
  std::shared_ptr<void> owner_;
};

/// One stream, from the call to its status. Send and Cancel run on any thread, the rest on the
/// polling thread.
class DispatchClient::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  explicit Session(std::shared_ptr<Impl> client)
      : client_(std::move(client)), writes_(client_->options_.max_write_queue_bytes) {}

  void Start() {
    grpc::GenericStub stub(client_->channel_);
    stream_ = stub.PrepareCall(&context_, kDispatchMethod, client_->poller_.queue());
    const auto timeout = std::chrono::system_clock::now() +
                         absl::ToChronoMilliseconds(client_->options_.connect_timeout);
    connect_timer_.Set(client_->poller_.queue(), timeout, Arm(timed_out_));
    stream_->StartCall(Arm(started_));
  }

  WriteQueue::Pushed Send(grpc::ByteBuffer& message) {
    const WriteQueue::Pushed pushed = writes_.Push(message);
    if (pushed == WriteQueue::Pushed::kStart) StartWrite(message);
    return pushed;
  }

  void Cancel() { context_.TryCancel(); }

 private:
  void* Arm(Event& event) { return event.Arm(client_, shared_from_this()); }
  void StartRead() { stream_->Read(&incoming_, Arm(read_)); }
  void StartWrite(const grpc::ByteBuffer& message) { stream_->Write(message, Arm(written_)); }

  void OnStarted(bool ok) {
    if (!ok) {
      BeginFinish();
      return;
    }
    grpc::ByteBuffer hello =
        EncodeCallHello(MakeHello(client_->options_.hello, client_->options_.lane));
    Send(hello);
    StartRead();
  }

  void OnTimedOut(bool ok) {
    if (!ok || open_) return;
    Fail(absl::DeadlineExceededError(
        absl::StrCat("no hello within ", absl::FormatDuration(client_->options_.connect_timeout))));
  }

  void OnRead(bool ok) {
    if (!ok) {
      BeginFinish();
      return;
    }
    const int hidden_size = static_cast<int>(client_->options_.hello.model.hidden_size);
    auto answer = DecodeAnswer(incoming_, hidden_size, client_->pool_);
    incoming_.Clear();
    const absl::Status handled = answer.ok() ? Handle(*std::move(answer)) : answer.status();
    if (handled.ok()) {
      StartRead();
    } else {
      Fail(handled);
      BeginFinish();
    }
  }

  absl::Status Handle(DecodedAnswer answer) {
    if (auto* reply = std::get_if<DispatchReply>(&answer)) {
      if (!open_) return absl::FailedPreconditionError("the first message must be a hello");
      client_->handler_.OnReply(std::move(*reply));
      return absl::OkStatus();
    }
    if (open_) return absl::FailedPreconditionError("a second hello");
    MOESAIC_ASSIGN_OR_RETURN(const PeerHello shard,
                             CheckHello(client_->options_.hello, std::get<v1::Hello>(answer)));
    open_ = true;
    connect_timer_.Cancel();
    client_->SessionConnected(shard);
    return absl::OkStatus();
  }

  /// Ends the stream for a reason of our own.
  void Fail(absl::Status why) {
    if (own_error_.ok()) own_error_ = std::move(why);
    context_.TryCancel();
  }

  void OnWritten(bool ok) {
    if (!ok) writes_.Close();  // Broken: the read in flight fails as well.
    grpc::ByteBuffer next;
    if (writes_.Written(next)) {
      StartWrite(next);
    } else if (closing_) {
      Finish();
    }
  }

  /// No read is in flight and none will be: finish as soon as no write is either.
  void BeginFinish() {
    closing_ = true;
    connect_timer_.Cancel();
    if (writes_.Close()) Finish();
  }

  void Finish() {
    if (finishing_) return;
    finishing_ = true;
    stream_->Finish(&status_, Arm(finished_));
  }

  void OnFinished(bool) {
    absl::Status status = own_error_.ok() ? FromGrpcStatus(status_) : own_error_;
    if (status.ok()) status = absl::UnavailableError("the shard closed the stream");
    client_->SessionEnded(status);
  }

  const std::shared_ptr<Impl> client_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::Alarm connect_timer_;
  Event started_{[this](bool ok) { OnStarted(ok); }};
  Event timed_out_{[this](bool ok) { OnTimedOut(ok); }};
  Event read_{[this](bool ok) { OnRead(ok); }};
  Event written_{[this](bool ok) { OnWritten(ok); }};
  Event finished_{[this](bool ok) { OnFinished(ok); }};
  WriteQueue writes_;

  // Polling thread only.
  grpc::ByteBuffer incoming_;
  bool open_ = false;
  bool closing_ = false;
  bool finishing_ = false;
  grpc::Status status_;
  absl::Status own_error_;
};

void DispatchClient::Impl::Connect() {
  auto session = std::make_shared<Session>(shared_from_this());
  {
    base::MutexLock lock(mutex_);
    if (stopping_) return;
    session_ = session;
    pending_.Add();  // until SessionEnded
  }
  session->Start();
}

void DispatchClient::Impl::SessionConnected(const PeerHello& shard) {
  {
    base::MutexLock lock(mutex_);
    backoff_ = options_.initial_backoff;
    last_error_ = absl::OkStatus();
  }
  connected_.store(true);
  handler_.OnConnected(shard);
}

void DispatchClient::Impl::SessionEnded(const absl::Status& status) {
  connected_.store(false);
  bool stopping = false;
  bool repeated = false;
  {
    base::MutexLock lock(mutex_);
    session_ = nullptr;
    repeated = last_error_ == status;
    last_error_ = status;
    stopping = stopping_;
  }
  // Trying again does not mend a peer of another protocol or model: somebody has to be told, once.
  if (absl::IsFailedPrecondition(status) && !repeated) {
    base::LogWarning("no ", base::ToAbsl(LaneName(options_.lane)), " stream to ", options_.address,
                     ": ", status.ToString());
  }
  if (!stopping) handler_.OnBroken(status);
  absl::Duration delay;
  {
    base::MutexLock lock(mutex_);
    delay = backoff_;
    backoff_ = std::min(2 * backoff_, options_.max_backoff);
  }
  ConnectAfter(delay);
  pending_.Remove();
}

void DispatchClient::Impl::ConnectAfter(absl::Duration delay) {
  auto due = std::make_shared<Event>([this](bool ok) {
    if (ok) Connect();
  });
  base::MutexLock lock(mutex_);
  if (stopping_) return;
  connect_timer_ = std::make_unique<grpc::Alarm>();
  connect_timer_->Set(poller_.queue(),
                      std::chrono::system_clock::now() + absl::ToChronoMilliseconds(delay),
                      due->Arm(shared_from_this(), due));
}

void DispatchClient::Impl::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
    if (session_ != nullptr) session_->Cancel();
    if (connect_timer_ != nullptr) connect_timer_->Cancel();
  }
  pending_.WaitForNone();
}

absl::Status DispatchClient::Impl::Send(const Dispatch& dispatch) {
  const std::shared_ptr<Session> session = Current();
  if (session == nullptr) {
    return absl::UnavailableError(absl::StrCat("not connected to ", options_.address));
  }
  grpc::ByteBuffer message = EncodeDispatch(dispatch);
  switch (session->Send(message)) {
    case WriteQueue::Pushed::kStart:
    case WriteQueue::Pushed::kQueued:
      return absl::OkStatus();
    case WriteQueue::Pushed::kFull:
      return absl::ResourceExhaustedError(
          absl::StrCat("the write queue to ", options_.address, " is full"));
    case WriteQueue::Pushed::kClosed:
      break;
  }
  return absl::UnavailableError(absl::StrCat("the stream to ", options_.address, " broke"));
}

void DispatchClient::Impl::Cancel(absl::Span<const std::uint64_t> dispatch_ids) {
  if (const std::shared_ptr<Session> session = Current()) {
    grpc::ByteBuffer message = EncodeCancel(dispatch_ids);
    session->Send(message);
  }
}

std::shared_ptr<DispatchClient::Impl::Session> DispatchClient::Impl::Current() const {
  if (!connected_.load()) return nullptr;
  base::MutexLock lock(mutex_);
  return session_;
}

absl::Status DispatchClient::Impl::last_error() const {
  base::MutexLock lock(mutex_);
  return last_error_;
}

DispatchClient::DispatchClient(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
DispatchClient::~DispatchClient() { impl_->Stop(); }

absl::StatusOr<std::unique_ptr<DispatchClient>> DispatchClient::Start(
    Options options, CompletionQueuePoller& poller, BufferPool& pool,
    DispatchClientHandler& handler) {
  MOESAIC_ASSIGN_OR_RETURN(auto channel,
                           MakeChannel(options.address, {.credentials = options.credentials,
                                                         .own_connection = true,
                                                         .initial_backoff = options.initial_backoff,
                                                         .max_backoff = options.max_backoff}));
  auto impl = std::make_shared<Impl>(std::move(options), std::move(channel), poller, pool, handler);
  std::unique_ptr<DispatchClient> client(new DispatchClient(impl));
  impl->ConnectAfter(absl::ZeroDuration());
  return client;
}

void DispatchClient::Stop() { impl_->Stop(); }
absl::Status DispatchClient::Send(const Dispatch& dispatch) { return impl_->Send(dispatch); }
void DispatchClient::Cancel(absl::Span<const std::uint64_t> ids) { impl_->Cancel(ids); }
bool DispatchClient::connected() const { return impl_->connected(); }
absl::Status DispatchClient::last_error() const { return impl_->last_error(); }

}  // namespace moesaic::rpc
