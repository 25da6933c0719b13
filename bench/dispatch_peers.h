#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "rpc/buffer_pool.h"
#include "rpc/completion_queue.h"
#include "rpc/credentials.h"
#include "rpc/dispatch_client.h"
#include "rpc/dispatch_message.h"

namespace moesaic::bench {

inline constexpr int kHidden = 7168;
/// Bytes of `tokens` rows in bf16.
constexpr std::size_t RowBytes(int tokens) { return std::size_t{2} * kHidden * tokens; }

/// What a served stream is like.
struct ServeOptions {
  bool hand_off = false;  ///< Answer from a compute pool instead of the polling thread.
  rpc::Credentials credentials = {};
};

/// Serves real Dispatch streams with a null FFN (the result rows are the request rows) at the port
/// written to `port_pipe`. Returns when its parent closes the pipe at `stop_pipe`.
void ServeDispatch(int port_pipe, int stop_pipe, const ServeOptions& options);

/// The real client of the Dispatch stream, driven in a closed loop from its polling thread.
class DispatchLoop final : public rpc::DispatchClientHandler {
 public:
  explicit DispatchLoop(int port, const rpc::Credentials& credentials = {});
  ~DispatchLoop() override;

  /// `count` round trips of `tokens` rows with `in_flight` under way. With one in flight, returns
  /// the time of each in nanoseconds.
  std::vector<double> Run(int tokens, int count, int in_flight);

  void OnConnected(const rpc::PeerHello& shard) override;
  void OnReply(rpc::DispatchReply reply) override;
  void OnBroken(const absl::Status& status) override;

 private:
  void SendOne();

  rpc::BufferPool pool_;
  rpc::CompletionQueuePoller poller_;
  std::unique_ptr<rpc::DispatchClient> client_;

  // Of the run in progress: written before its first message, then by the polling thread.
  rpc::Dispatch message_;
  std::vector<std::uint32_t> row_index_, expert_id_;
  std::vector<float> weight_;
  int to_send_ = 0;
  int to_receive_ = 0;
  std::int64_t sent_at_ = 0;
  std::vector<double> times_;

  base::Mutex mutex_;
  base::CondVar changed_;
  bool connected_ ABSL_GUARDED_BY(mutex_) = false;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
};

/// Monotonic nanoseconds.
std::int64_t Nanoseconds();

}  // namespace moesaic::bench
