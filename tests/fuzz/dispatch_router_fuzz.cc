// A router's side of dispatch streams, over real connections: shards that answer with rows left
// out, twice, to other dispatches, late, in errors, that break off and that lose their units, in
// any order. A call ends once, and what it says is computed is right.
#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "router/dispatch/expert_dispatcher.h"
#include "rpc/dispatch_server.h"
#include "rpc/server_factory.h"
#include "rpc/wire_convert.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace moesaic;
using moesaic::fuzz::FuzzInput;

constexpr int kHidden = 4;
constexpr std::uint32_t kUnitSize = 2;
constexpr std::uint32_t kExperts = 8;
constexpr std::size_t kShards = 2;

rpc::LocalHello Hello(const std::string& sender) {
  return {.sender = sender,
          .build = "fuzz",
          .incarnation = 1,
          .model = {"model", "f00d", "beef", kHidden, kUnitSize},
          .wire_dtypes = {rpc::WireDtype::kF32},
          .credit_bytes = 4096};
}

/// A shard whose every answer is decided by the fuzzer's bytes, and whose rows are true.
class Shard final : public rpc::DispatchHandler {
 public:
  explicit Shard(const std::string& name)
      : dispatch_({.hello = Hello(name)}, service_, *this, pool_) {
    auto server = rpc::StartServer({.dispatch = &dispatch_});
    MOESAIC_CHECK(server.ok());
    server_ = *std::move(server);
  }

  const std::string& address() const { return server_->address(); }
  void Decide(std::string_view bytes) {
    base::MutexLock lock(mutex_);
    decisions_ = bytes;
    kept_.clear();
  }

  absl::Status OnOpen(rpc::StreamId, const rpc::PeerHello&) override { return absl::OkStatus(); }
  void OnCancel(rpc::StreamId, absl::Span<const std::uint64_t>) override {}
  void OnClose(rpc::StreamId) override {}
  void OnDispatch(rpc::StreamId stream, rpc::Dispatch dispatch) override {
    base::MutexLock lock(mutex_);
    const std::uint8_t choice = Next();
    switch (choice % 8) {
      case 0:  // keeps it for later
        kept_.push_back({stream, std::move(dispatch)});
        return;
      case 1: {  // refuses it
        const auto code = static_cast<rpc::DispatchCode>(1 + choice / 8 % 7);
        dispatch_.Reply(stream, {.dispatch_id = dispatch.dispatch_id, .code = code, .error = "no"});
        return;
      }
      case 2:  // answers something else first
        Answer(stream, dispatch, dispatch.dispatch_id + 1000);
        break;
      case 3:  // twice
        Answer(stream, dispatch, dispatch.dispatch_id);
        break;
      case 4:  // and what it had kept
        for (const auto& [kept_stream, kept] : kept_) Answer(kept_stream, kept, kept.dispatch_id);
        kept_.clear();
        break;
      default:
        break;
    }
    Answer(stream, dispatch, dispatch.dispatch_id);
  }

 private:
  std::uint8_t Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (decisions_.empty()) return 7;  // a good answer
    const auto byte = static_cast<std::uint8_t>(decisions_.front());
    decisions_.remove_prefix(1);
    return byte;
  }

  /// Rows of the (row, unit) pairs asked for; some left out, named as missing, twice, or made up.
  void Answer(rpc::StreamId stream, const rpc::Dispatch& d, std::uint64_t id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    rpc::DispatchReply reply{.dispatch_id = id, .dtype = rpc::WireDtype::kF32};
    std::vector<std::uint32_t> rows, units;
    std::vector<float> values;
    const auto add = [&](std::uint32_t row, std::uint32_t unit) {
      rows.push_back(row);
      units.push_back(unit);
      for (int c = 0; c < kHidden; ++c) values.push_back(Value(d, row, unit, c));
    };
    for (std::size_t i = 0; i < d.row_index.size(); ++i) {
      const std::uint32_t row = d.row_index[i];
      const std::uint32_t unit = d.expert_id[i] / kUnitSize;
      if (i > 0 && d.row_index[i - 1] == row && d.expert_id[i - 1] / kUnitSize == unit) continue;
      switch (Next() % 16) {
        case 0:
          break;  // left out
        case 1:
          reply.missing_units.push_back(unit);
          break;
        case 2:
          add(row, unit);
          add(row, unit);
          break;
        case 3:
          add(row + 100, unit);
          break;
        case 4:
          add(row, unit + 1);
          break;
        default:
          add(row, unit);
      }
    }
    reply.storage = pool_.Take(values.size() * sizeof(float) + 1);
    if (!values.empty()) {
      std::memcpy(reply.storage.data(), values.data(), values.size() * sizeof(float));
    }
    reply.row_index = rows;
    reply.unit_id = units;
    reply.rows = {reply.storage.data(), values.size() * sizeof(float)};
    reply.compute_us = Next();
    reply.batch_rows = Next();
    reply.queue_wait_us = Next();
    dispatch_.Reply(stream, reply);
  }

  /// The sum of weight * (expert + 1) * x over the experts of the unit that the row goes through.
  static float Value(const rpc::Dispatch& d, std::uint32_t row, std::uint32_t unit, int channel) {
    float sum = 0;
    for (std::size_t i = 0; i < d.row_index.size(); ++i) {
      if (d.row_index[i] != row || d.expert_id[i] / kUnitSize != unit) continue;
      const auto* x = reinterpret_cast<const float*>(d.rows.data()) + row * kHidden;
      sum += d.weight[i] * (static_cast<float>(d.expert_id[i] + 1) * x[channel]);
    }
    return sum;
  }

  struct Kept {
    rpc::StreamId stream;
    rpc::Dispatch dispatch;
  };

  rpc::BufferPool pool_;
  rpc::ExpertShardServiceBase service_;
  rpc::DispatchServer dispatch_;
  std::unique_ptr<rpc::ServerHandle> server_;
  base::Mutex mutex_;
  std::string_view decisions_ ABSL_GUARDED_BY(mutex_);
  std::vector<Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

/// Shards, and a dispatcher that follows placements over them. Lives as long as the process.
struct Cluster {
  Cluster() {
    for (std::size_t i = 0; i < kShards; ++i) {
      shards.push_back(std::make_unique<Shard>("shard-" + std::to_string(i)));
    }
    auto made = router::ExpertDispatcher::Create({.hello = Hello("router"),
                                                  .wire_dtype = rpc::WireDtype::kF32,
                                                  .spin = absl::ZeroDuration(),
                                                  .initial_backoff = absl::Milliseconds(1),
                                                  .max_backoff = absl::Milliseconds(5),
                                                  .seed = 1});
    MOESAIC_CHECK(made.ok());
    dispatcher = *std::move(made);
    Place({3, 3, 3, 3});
  }

  /// The shards of each unit, as bits.
  void Place(std::vector<std::size_t> holders) {
    placement::PlacementMap::Parts parts;
    parts.epoch = {1, ++version};
    parts.model = Hello("").model;
    parts.topology = {.moe_layers = {base::LayerId(0)},
                      .experts_per_layer = kExperts,
                      .unit_size = kUnitSize,
                      .unit_bytes = 1};
    for (std::uint32_t i = 0; i < kShards; ++i) {
      placement::ShardInfo info;
      info.id = base::ShardId(i);
      info.name = "shard-" + std::to_string(i);
      info.address = shards[i]->address();
      info.incarnation = 1;
      parts.shards.push_back(std::move(info));
    }
    for (const std::size_t mask : holders) {
      auto& list = parts.holders.emplace_back();
      for (std::uint32_t i = 0; i < kShards; ++i) {
        if (mask >> i & 1) list.emplace_back(i);
      }
    }
    auto map = placement::PlacementMap::Build(std::move(parts));
    MOESAIC_CHECK(map.ok());
    dispatcher->SetPlacement(*map);
  }

  std::vector<std::unique_ptr<Shard>> shards;
  std::unique_ptr<router::ExpertDispatcher> dispatcher;
  std::uint64_t version = 0;
};

/// A call with two experts a token, its memory and its outcome.
class Call {
 public:
  Call(FuzzInput& input, absl::Duration deadline) {
    const std::size_t tokens = 1 + input.Below(4);
    offsets_.push_back(0);
    for (std::size_t t = 0; t < tokens; ++t) {
      const auto first = static_cast<std::int32_t>(input.Below(kExperts - 1));
      const auto second = first + 1 + static_cast<std::int32_t>(input.Below(kExperts - 1 - first));
      experts_.insert(experts_.end(), {first, second});
      weights_.insert(weights_.end(), {0.5f, 2.0f});
      for (int c = 0; c < kHidden; ++c) rows_.push_back(static_cast<float>(8 * t + c));
      const bool same = first / 2 == second / 2;
      offsets_.push_back(offsets_.back() + (same ? 1 : 2));
      deadlines_.push_back(deadline);
      prefill_[t] = input.Below(2) == 1;
    }
    slots_.assign(offsets_.back() * kHidden, -1);
    const auto count = static_cast<std::int64_t>(tokens);
    call_.layer = base::LayerId(0);
    call_.top_k = 2;
    call_.hidden_size = kHidden;
    call_.rows = base::TensorView::Host(rows_.data(), {count, kHidden});
    call_.expert_ids = experts_;
    call_.weights = weights_;
    call_.is_prefill = absl::MakeConstSpan(prefill_, tokens);
    call_.deadlines = deadlines_;
    call_.slot_offsets = offsets_;
    call_.slots = base::TensorView::Host(slots_.data(), {offsets_.back(), kHidden});
  }

  void Start(router::ExpertDispatcher& dispatcher) {
    dispatcher.Compute(call_, [this](router::ExpertOutcome outcome) {
      outcome_.set_value(std::move(outcome));  // a second time would throw
    });
  }

  void CheckOutcome() {
    std::future<router::ExpertOutcome> future = outcome_.get_future();
    MOESAIC_CHECK(future.wait_for(std::chrono::seconds(15)) == std::future_status::ready);
    const router::ExpertOutcome outcome = future.get();
    MOESAIC_CHECK(outcome.skipped_slots.empty());
    for (std::size_t t = 0; t + 1 < offsets_.size(); ++t) {
      const bool failed = std::any_of(
          outcome.failures.begin(), outcome.failures.end(),
          [&](const auto& failure) { return failure.token == static_cast<std::int32_t>(t); });
      if (!failed) CheckToken(t);
    }
  }

 private:
  void CheckToken(std::size_t t) const {
    int slot = offsets_[t] - 1;
    int unit = -1;
    std::vector<float> expected;
    for (int k = 0; k < 2; ++k) {
      const int expert = experts_[2 * t + k];
      if (expert / 2 != unit) {
        ++slot;
        expected.resize(expected.size() + kHidden, 0);
      }
      unit = expert / 2;
      for (int c = 0; c < kHidden; ++c) {
        expected[expected.size() - kHidden + c] +=
            weights_[2 * t + k] * (static_cast<float>(expert + 1) * rows_[t * kHidden + c]);
      }
    }
    MOESAIC_CHECK(slot + 1 == offsets_[t + 1]);
    MOESAIC_CHECK(
        std::equal(expected.begin(), expected.end(), slots_.begin() + offsets_[t] * kHidden));
  }

  std::vector<float> rows_;
  std::vector<std::int32_t> experts_;
  std::vector<float> weights_;
  std::vector<std::int32_t> offsets_;
  std::vector<absl::Duration> deadlines_;
  bool prefill_[4] = {};
  std::vector<float> slots_;
  router::ExpertCall call_;
  std::promise<router::ExpertOutcome> outcome_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Cluster& cluster = *new Cluster();
  FuzzInput input(data, size);
  std::string_view decisions[kShards];
  for (std::string_view& bytes : decisions) bytes = input.Bytes(input.Byte());
  for (std::size_t i = 0; i < kShards; ++i) cluster.shards[i]->Decide(decisions[i]);

  std::vector<std::unique_ptr<Call>> calls;
  const std::size_t events = input.Below(6);
  for (std::size_t i = 0; i <= events; ++i) {
    if (input.Below(4) == 0) {
      std::vector<std::size_t> holders;
      for (std::uint32_t unit = 0; unit < kExperts / kUnitSize; ++unit) {
        holders.push_back(input.Below(4));
      }
      cluster.Place(std::move(holders));
    }
    const absl::Duration deadline =
        base::Clock::Real().Monotonic() + absl::Milliseconds(1 + input.Below(20));
    calls.push_back(std::make_unique<Call>(input, deadline));
    calls.back()->Start(*cluster.dispatcher);
  }
  for (const auto& call : calls) call->CheckOutcome();
  for (const auto& shard : cluster.shards) shard->Decide({});
  return 0;
}
