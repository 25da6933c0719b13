#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_server.h"
#include "rpc/server_factory.h"

namespace moesaic::router {

/// What tests and fake shards agree on: 8 experts in units of 2.
inline constexpr int kFakeUnitSize = 2;
inline constexpr int kFakeExperts = 8;

rpc::LocalHello FakeHello(const std::string& sender, int hidden_size);

/// A real Dispatch server with a toy expert: FFN_e(x) = (e + 1) * x. Thread-safe.
class FakeShard final : public rpc::DispatchHandler {
 public:
  struct Options {
    std::string name = "shard-0";
    int hidden_size = 8;
    /// Units it can compute; others are answered as missing.
    std::set<std::uint32_t> units = {0, 1, 2, 3};
    /// Answers for this many dispatches before it works normally.
    rpc::DispatchCode first_code = rpc::DispatchCode::kOk;
    int first_code_count = 0;
    /// Keeps dispatches instead of answering them, until ReleaseHeld.
    bool hold = false;
    /// Changes a reply before it is sent, to misbehave.
    std::function<void(rpc::DispatchReply&)> tamper = {};
    std::string numerics_id = "beef";
    std::uint64_t credit_bytes = 0;
  };
  explicit FakeShard(Options options);
  ~FakeShard() override;

  const std::string& name() const { return options_.name; }
  const std::string& address() const { return server_->address(); }
  void Stop();
  /// Answers what was held, and holds no more.
  void ReleaseHeld();
  /// Blocks until so many dispatches or cancels have come; false after 20 s.
  bool WaitForDispatches(int count);
  bool WaitForCancels(int count);
  int dispatches() const;
  int rows() const;

  absl::Status OnOpen(rpc::StreamId, const rpc::PeerHello&) override { return absl::OkStatus(); }
  void OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) override;
  void OnCancel(rpc::StreamId, absl::Span<const std::uint64_t> ids) override;
  void OnClose(rpc::StreamId) override {}

 private:
  /// Says which units of layer 0 it can compute.
  class Service final : public rpc::ExpertShardServiceBase {
   public:
    explicit Service(const std::set<std::uint32_t>& units) : units_(units) {}
    grpc::Status Describe(grpc::ServerContext* context, const v1::DescribeRequest* request,
                          v1::DescribeResponse* response) override;

   private:
    const std::set<std::uint32_t>& units_;
  };
  struct Held {
    rpc::StreamId stream;
    rpc::Dispatch dispatch;
  };
  void Answer(rpc::StreamId stream, const rpc::Dispatch& dispatch);
  bool WaitFor(int FakeShard::*counter, int count);

  const Options options_;
  rpc::BufferPool pool_;
  Service service_;
  std::unique_ptr<rpc::DispatchServer> dispatch_server_;
  std::unique_ptr<rpc::ServerHandle> server_;

  mutable base::Mutex mutex_;
  base::CondVar changed_;
  int dispatches_ ABSL_GUARDED_BY(mutex_) = 0;
  int rows_ ABSL_GUARDED_BY(mutex_) = 0;
  int cancels_ ABSL_GUARDED_BY(mutex_) = 0;
  bool hold_ ABSL_GUARDED_BY(mutex_);
  std::vector<Held> held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
