#include "bench/dispatch_peers.h"

#include <unistd.h>

#include <chrono>
#include <numeric>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/compute_pool.h"
#include "rpc/dispatch_server.h"
#include "rpc/server_factory.h"

namespace moesaic::bench {
namespace {

/// Long enough that both ends spin through a round trip of the largest message.
constexpr absl::Duration kSpin = absl::Microseconds(500);

rpc::LocalHello Hello(const char* sender) {
  return {.sender = sender,
          .build = "bench",
          .incarnation = 1,
          .model = {"bench", "bench", "bench", kHidden, 1},
          .wire_dtypes = {rpc::WireDtype::kBF16},
          .credit_bytes = 0};
}

/// Answers every dispatch with its own rows.
class NullShard final : public rpc::DispatchHandler {
 public:
  NullShard(rpc::BufferPool& pool, bool hand_off)
      : server_({.hello = Hello("shard"), .spin = kSpin}, service_, *this, pool) {
    if (hand_off) compute_.emplace(1);
  }
  rpc::DispatchServer& server() { return server_; }

  absl::Status OnOpen(rpc::StreamId, const rpc::PeerHello&) override { return absl::OkStatus(); }
  void OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) override {
    if (!compute_) {
      Answer(stream, dispatch);
      return;
    }
    compute_->Submit([this, stream, dispatch = std::move(dispatch)] { Answer(stream, dispatch); });
  }
  void OnCancel(rpc::StreamId, absl::Span<const std::uint64_t>) override {}
  void OnClose(rpc::StreamId) override {}

 private:
  void Answer(rpc::StreamId stream, const rpc::Dispatch& dispatch) {
    server_.Reply(stream, {.dispatch_id = dispatch.dispatch_id,
                           .dtype = dispatch.dtype,
                           .row_index = dispatch.row_index,
                           .unit_id = dispatch.expert_id,
                           .rows = dispatch.rows,
                           .storage = dispatch.storage});
  }

  rpc::ExpertShardServiceBase service_;
  rpc::DispatchServer server_;
  std::optional<base::ComputePool> compute_;
};

void TellPort(int port_pipe, int port) {
  MOESAIC_CHECK(write(port_pipe, &port, sizeof port) == sizeof port);
}

void WaitForEnd(int stop_pipe) {
  char byte;
  while (read(stop_pipe, &byte, 1) > 0) {
  }
}

}  // namespace

std::int64_t Nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void ServeDispatch(int port_pipe, int stop_pipe, const ServeOptions& options) {
  rpc::BufferPool pool;
  NullShard shard(pool, options.hand_off);
  auto server = rpc::StartServer({.credentials = options.credentials, .dispatch = &shard.server()});
  MOESAIC_CHECK(server.ok());
  TellPort(port_pipe, (*server)->port());
  WaitForEnd(stop_pipe);
}

DispatchLoop::DispatchLoop(int port, const rpc::Credentials& credentials) : poller_(kSpin) {
  poller_.Start();
  auto client = rpc::DispatchClient::Start({.address = absl::StrCat("127.0.0.1:", port),
                                            .hello = Hello("router"),
                                            .credentials = credentials},
                                           poller_, pool_, *this);
  MOESAIC_CHECK(client.ok());
  client_ = *std::move(client);
  base::MutexLock lock(mutex_);
  while (!connected_) changed_.Wait(mutex_);
}

DispatchLoop::~DispatchLoop() { client_->Stop(); }

void DispatchLoop::OnConnected(const rpc::PeerHello&) {
  base::MutexLock lock(mutex_);
  connected_ = true;
  changed_.NotifyAll();
}

void DispatchLoop::OnBroken(const absl::Status&) {}

std::vector<double> DispatchLoop::Run(int tokens, int count, int in_flight) {
  const auto rows = static_cast<std::uint32_t>(tokens);
  row_index_.resize(rows);
  std::iota(row_index_.begin(), row_index_.end(), 0u);
  expert_id_.assign(rows, 0);
  weight_.assign(rows, 1.0f);
  message_ = {
      .dtype = rpc::WireDtype::kBF16, .row_count = rows, .storage = pool_.Take(RowBytes(tokens))};
  message_.rows = {message_.storage.data(), RowBytes(tokens)};
  message_.row_index = row_index_;
  message_.expert_id = expert_id_;
  message_.weight = weight_;
  times_.clear();
  times_.reserve(count);
  to_send_ = count - in_flight;
  to_receive_ = count;
  {
    base::MutexLock lock(mutex_);
    done_ = false;
  }
  for (int i = 0; i < in_flight; ++i) SendOne();
  base::MutexLock lock(mutex_);
  while (!done_) changed_.Wait(mutex_);
  return std::move(times_);
}

void DispatchLoop::SendOne() {
  sent_at_ = Nanoseconds();
  MOESAIC_CHECK(client_->Send(message_).ok());
}

void DispatchLoop::OnReply(rpc::DispatchReply reply) {
  MOESAIC_CHECK(reply.rows.size() == message_.rows.size());
  times_.push_back(static_cast<double>(Nanoseconds() - sent_at_));
  if (--to_receive_ == 0) {
    base::MutexLock lock(mutex_);
    done_ = true;
    changed_.NotifyAll();
  } else if (to_send_ > 0) {
    --to_send_;
    SendOne();
  }
}

}  // namespace moesaic::bench
