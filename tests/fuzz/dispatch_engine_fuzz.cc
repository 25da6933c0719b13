// A shard's side of dispatch streams: streams that open and close, frames of any bytes and good
// ones, cancels, and time that passes, in any order. Every dispatch taken is answered once.
#include <map>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "monitoring/registry.h"
#include "rpc/dispatch_wire.h"
#include "shard/dispatch_engine.h"
#include "tests/fuzz/dispatch_frames.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/testing/fake_clock.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace {

using namespace moesaic;
using moesaic::fuzz::FuzzInput;

constexpr int kHidden = 96;  // of the checkpoint
constexpr std::size_t kStreams = 3;

/// What all runs share: the small checkpoint, some of whose units are held.
struct Model {
  Model()
      : checkpoint(shard::OpenTinyCheckpoint()),
        store(*shard::ExpertStore::Create(
            *checkpoint,
            {.unit_size = 4, .memory_bytes = 1 << 30, .compute_dtype = base::DType::kF32}, pool)),
        metrics(registry, store->topology()) {
    const placement::UnitKey held[] = {{base::LayerId(1), base::UnitId(0)},
                                       {base::LayerId(1), base::UnitId(2)},
                                       {base::LayerId(2), base::UnitId(1)}};
    MOESAIC_CHECK(store->Load(held).ok());
  }

  base::ComputePool pool{1};
  rpc::BufferPool buffers;
  monitoring::Registry registry;
  std::unique_ptr<model::Checkpoint> checkpoint;
  std::unique_ptr<shard::ExpertStore> store;
  shard::ShardMetrics metrics;
};

Model& SharedModel() {
  static Model& model = *new Model();
  return model;
}

/// A dispatch as a router that means well would send it, but for a few numbers.
rpc::Dispatch MakeDispatch(FuzzInput& input, std::vector<std::byte>& rows,
                           std::vector<std::uint32_t>& row_index,
                           std::vector<std::uint32_t>& expert_id, std::vector<float>& weight) {
  rpc::Dispatch dispatch;
  dispatch.dispatch_id = input.Byte() % 8;
  dispatch.layer = base::LayerId(static_cast<std::uint32_t>(input.Below(6)));
  dispatch.remaining_us = input.Below(4) * 100;
  dispatch.dtype = input.Below(16) == 0 ? rpc::WireDtype::kBF16 : rpc::WireDtype::kF32;
  dispatch.row_count = static_cast<std::uint32_t>(1 + input.Below(3));
  rows.assign(dispatch.row_count * kHidden * rpc::WireDtypeBytes(dispatch.dtype), std::byte{0});
  for (std::uint32_t row = 0; row < dispatch.row_count; ++row) {
    for (std::uint32_t expert = static_cast<std::uint32_t>(input.Below(8)); expert < 18;
         expert += 1 + static_cast<std::uint32_t>(input.Below(8))) {
      row_index.push_back(row);
      expert_id.push_back(expert);
      weight.push_back(0.5f);
    }
  }
  dispatch.rows = rows;
  dispatch.row_index = row_index;
  dispatch.expert_id = expert_id;
  dispatch.weight = weight;
  return dispatch;
}

/// One run: what was sent on each stream, and what came back.
class Session {
 public:
  explicit Session(FuzzInput& input)
      : input_(input),
        executor_({.topology = model_.store->topology(),
                   .hidden_size = kHidden,
                   .intermediate_size = model_.checkpoint->config().moe.expert_intermediate_size,
                   .compute_dtype = base::DType::kF32},
                  model_.pool, model_.buffers, clock_),
        engine_({.hidden_size = kHidden,
                 .wire_dtype = rpc::WireDtype::kF32,
                 .batching = {.max_batch_rows = 8, .queue_bytes_per_router = 1 << 12}},
                *model_.store, executor_, model_.metrics, clock_) {
    engine_.SetReplySink([this](rpc::StreamId stream, const rpc::DispatchReply& reply) {
      base::MutexLock lock(mutex_);
      ++answers_[{stream, reply.dispatch_id}];
      for (const auto& part : rpc::EncodeReply(reply, kHidden)) {
        MOESAIC_CHECK(rpc::DecodeAnswer(part, kHidden, model_.buffers).ok());
      }
    });
  }

  void Run() {
    for (int events = 0; events < 64 && !input_.empty(); ++events) Step();
    engine_.AwaitDrained(absl::Seconds(20));
    base::MutexLock lock(mutex_);
    for (const auto& [key, answers] : answers_) {
      MOESAIC_CHECK(answers <= asked_[key]);
      const bool open = open_.contains(key.first);
      MOESAIC_CHECK(!open || answers == asked_[key]);
    }
    for (const auto& [key, asked] : asked_) {
      if (open_.contains(key.first)) MOESAIC_CHECK(answers_[key] == asked);
    }
  }

 private:
  void Step() {
    const std::size_t choice = input_.Below(32);
    const rpc::StreamId stream = slots_[input_.Below(kStreams)];
    switch (choice) {
      case 0:
        return Open(input_.Below(kStreams));
      case 1:
        if (open_.erase(stream) > 0) engine_.OnClose(stream);
        return;
      case 2: {
        const std::uint64_t ids[] = {input_.Byte() % 8u, input_.Byte() % 8u, 99};
        if (open_.contains(stream)) engine_.OnCancel(stream, ids);
        return;
      }
      case 3:
        clock_.Advance(absl::Microseconds(input_.Byte()));
        return;
      case 4:
        if (input_.Below(8) == 0) engine_.StartDraining();
        return;
      case 5:
      case 6:
        return Receive(stream, fuzz::InSlices(input_.Bytes(input_.Byte()), 7));
      default: {
        std::vector<std::byte> rows;
        std::vector<std::uint32_t> row_index, expert_id;
        std::vector<float> weight;
        const rpc::Dispatch dispatch = MakeDispatch(input_, rows, row_index, expert_id, weight);
        if (row_index.empty()) return;
        return Receive(stream, rpc::EncodeDispatch(dispatch));
      }
    }
  }

  void Open(std::size_t slot) {
    if (open_.erase(slots_[slot]) > 0) engine_.OnClose(slots_[slot]);
    slots_[slot] = ++last_stream_;
    rpc::PeerHello hello;
    hello.sender.assign(1, input_.Below(2) == 0 ? 'a' : 'b');
    hello.lane = input_.Below(2) == 0 ? rpc::Lane::kDecode : rpc::Lane::kPrefill;
    if (engine_.OnOpen(last_stream_, hello).ok()) open_.insert(last_stream_);
  }

  void Receive(rpc::StreamId stream, const grpc::ByteBuffer& frame) {
    if (!open_.contains(stream)) return;
    auto call = rpc::DecodeCall(frame, kHidden, model_.buffers);
    if (!call.ok()) {  // the server ends the stream
      open_.erase(stream);
      return engine_.OnClose(stream);
    }
    if (auto* dispatch = std::get_if<rpc::Dispatch>(&*call)) {
      {
        base::MutexLock lock(mutex_);
        ++asked_[{stream, dispatch->dispatch_id}];
      }
      engine_.OnDispatch(stream, std::move(*dispatch));
    } else if (auto* ids = std::get_if<std::vector<std::uint64_t>>(&*call)) {
      engine_.OnCancel(stream, *ids);
    }
  }

  using Key = std::pair<rpc::StreamId, std::uint64_t>;

  FuzzInput& input_;
  Model& model_ = SharedModel();
  testing::FakeClock clock_;
  rpc::StreamId slots_[kStreams] = {};
  rpc::StreamId last_stream_ = 0;
  std::set<rpc::StreamId> open_;
  base::Mutex mutex_;
  std::map<Key, int> asked_ ABSL_GUARDED_BY(mutex_);
  std::map<Key, int> answers_ ABSL_GUARDED_BY(mutex_);
  shard::FfnExecutor executor_;
  shard::DispatchEngine engine_;  // last: it calls back
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  FuzzInput input(data, size);
  Session(input).Run();
  return 0;
}
