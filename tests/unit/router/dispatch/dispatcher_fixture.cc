#include "tests/unit/router/dispatch/dispatcher_fixture.h"

#include <algorithm>
#include <random>
#include <thread>
#include <utility>

#include "absl/time/clock.h"
#include "base/clock.h"
#include "gtest/gtest.h"

namespace moesaic::router {

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time until = absl::Now() + absl::Seconds(20);
  while (!condition()) {
    if (absl::Now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

absl::Duration In(absl::Duration delay) { return base::Clock::Real().Monotonic() + delay; }

std::shared_ptr<const placement::PlacementMap> Placement(
    std::uint64_t version, int hidden_size, const std::vector<const FakeShard*>& shards,
    const std::vector<std::vector<std::uint32_t>>& holders) {
  placement::PlacementMap::Parts parts;
  parts.epoch = {1, version};
  parts.model = FakeHello("", hidden_size).model;
  parts.topology.moe_layers = {base::LayerId(0)};
  parts.topology.experts_per_layer = kFakeExperts;
  parts.topology.unit_size = kFakeUnitSize;
  parts.topology.unit_bytes = 1;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    placement::ShardInfo info;
    info.id = base::ShardId(static_cast<std::uint32_t>(i));
    info.name = shards[i]->name();
    info.address = shards[i]->address();
    info.incarnation = 1;
    parts.shards.push_back(std::move(info));
  }
  for (const auto& ids : holders) {
    auto& list = parts.holders.emplace_back();
    for (const std::uint32_t id : ids) list.emplace_back(id);
  }
  auto map = placement::PlacementMap::Build(std::move(parts));
  EXPECT_TRUE(map.ok()) << map.status();
  return *map;
}

TestCall::TestCall(int tokens, int hidden_size, unsigned seed, absl::Duration deadline)
    : rows_(tokens * hidden_size), deadlines_(tokens, deadline), prefill_(new bool[tokens]) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& x : rows_) x = normal(random);
  offsets_.push_back(0);
  for (int t = 0; t < tokens; ++t) {
    const int first = static_cast<int>(random() % kFakeExperts);
    const int second = (first + 1 + static_cast<int>(random() % (kFakeExperts - 1))) % kFakeExperts;
    for (const int expert : {std::min(first, second), std::max(first, second)}) {
      const auto unit = static_cast<std::uint32_t>(expert / kFakeUnitSize);
      const bool same_unit =
          static_cast<int>(units_.size()) > offsets_.back() && units_.back() == unit;
      if (!same_unit) units_.push_back(unit);
      experts_.push_back(expert);
    }
    offsets_.push_back(static_cast<std::int32_t>(units_.size()));
    weights_.insert(weights_.end(), {0.25f + static_cast<float>(t % 3), 0.75f});
    prefill_[t] = t % 2 == 1;
  }
  slots_.assign(offsets_.back() * hidden_size, -1.0f);
  call_.layer = base::LayerId(0);
  call_.top_k = 2;
  call_.hidden_size = hidden_size;
  call_.rows = base::TensorView::Host(rows_.data(), {tokens, hidden_size});
  call_.expert_ids = experts_;
  call_.weights = weights_;
  call_.is_prefill = absl::MakeConstSpan(prefill_.get(), tokens);
  call_.deadlines = deadlines_;
  call_.slot_offsets = offsets_;
  call_.slots = base::TensorView::Host(slots_.data(), {offsets_.back(), hidden_size});
}

void TestCall::Start(ExpertDispatcher& dispatcher) {
  dispatcher.Compute(call_,
                     [this](ExpertOutcome outcome) { promise_.set_value(std::move(outcome)); });
}

ExpertOutcome TestCall::Wait() {
  EXPECT_EQ(outcome_.wait_for(std::chrono::seconds(20)), std::future_status::ready);
  return outcome_.get();
}

bool TestCall::Done() const {
  return outcome_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::vector<float> TestCall::Run(ExpertDispatcher& dispatcher) {
  Start(dispatcher);
  const ExpertOutcome outcome = Wait();
  EXPECT_TRUE(outcome.failures.empty()) << outcome.failures[0].status;
  EXPECT_TRUE(outcome.skipped_slots.empty());
  return slots_;
}

std::vector<float> TestCall::Expected() const {
  std::vector<float> expected(slots_.size(), 0.0f);
  for (std::size_t t = 0; t + 1 < offsets_.size(); ++t) {
    int slot = offsets_[t] - 1;
    int unit = -1;
    for (int k = 0; k < 2; ++k) {
      const int expert = experts_[2 * t + k];
      if (expert / kFakeUnitSize != unit) ++slot;
      unit = expert / kFakeUnitSize;
      for (int c = 0; c < call_.hidden_size; ++c) {
        expected[slot * call_.hidden_size + c] +=
            weights_[2 * t + k] *
            (static_cast<float>(expert + 1) * rows_[t * call_.hidden_size + c]);
      }
    }
  }
  return expected;
}

std::vector<float> TestCall::RowOf(const std::vector<float>& slots, int slot) const {
  const auto begin = slots.begin() + std::ptrdiff_t{slot} * call_.hidden_size;
  return {begin, begin + call_.hidden_size};
}

ExpertDispatcher::Options DispatcherOptions(int hidden_size) {
  return {.hello = FakeHello("router-0", hidden_size),
          .wire_dtype = rpc::WireDtype::kF32,
          .initial_backoff = absl::Milliseconds(5),
          .max_backoff = absl::Milliseconds(20),
          .budget = kNoHedges};
}

std::unique_ptr<ExpertDispatcher> MakeDispatcher(ExpertDispatcher::Options options) {
  auto dispatcher = ExpertDispatcher::Create(std::move(options));
  EXPECT_TRUE(dispatcher.ok()) << dispatcher.status();
  return *std::move(dispatcher);
}

std::unique_ptr<ExpertDispatcher> MakeDispatcher(int hidden_size, rpc::WireDtype wire_dtype,
                                                 RetryBudget::Options budget) {
  ExpertDispatcher::Options options = DispatcherOptions(hidden_size);
  options.wire_dtype = wire_dtype;
  options.budget = budget;
  return MakeDispatcher(std::move(options));
}

bool AllConnected(const ExpertDispatcher& dispatcher) {
  return Eventually([&] {
    const auto shards = dispatcher.Stats().shards;
    return !shards.empty() && std::all_of(shards.begin(), shards.end(), [](const auto& shard) {
      return shard.decode_connected && shard.prefill_connected;
    });
  });
}

}  // namespace moesaic::router
