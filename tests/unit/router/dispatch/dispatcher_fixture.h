#pragma once

#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "absl/time/time.h"
#include "placement/view/placement_map.h"
#include "router/dispatch/expert_dispatcher.h"
#include "tests/unit/router/dispatch/fake_shard.h"

namespace moesaic::router {

/// Waits for something that another thread will bring about; false after 20 s.
bool Eventually(const std::function<bool()>& condition);

/// This long from now, on the clock of dispatchers.
absl::Duration In(absl::Duration delay);

/// Where units live: unit u of layer 0 on holders[u].
std::shared_ptr<const placement::PlacementMap> Placement(
    std::uint64_t version, int hidden_size, const std::vector<const FakeShard*>& shards,
    const std::vector<std::vector<std::uint32_t>>& holders);

inline const std::vector<std::vector<std::uint32_t>> kAllOnFirst = {{0}, {0}, {0}, {0}};
inline const std::vector<std::vector<std::uint32_t>> kSplit = {{0}, {1}, {0}, {1}};
inline const std::vector<std::vector<std::uint32_t>> kBoth = {{0, 1}, {0, 1}, {0, 1}, {0, 1}};
inline const std::vector<std::vector<std::uint32_t>> kNobody = {{}, {}, {}, {}};

/// An ExpertCall with random rows and top-2 routing, its memory, and its outcome.
class TestCall {
 public:
  TestCall(int tokens, int hidden_size, unsigned seed = 1,
           absl::Duration deadline = absl::InfiniteDuration());

  void Start(ExpertDispatcher& dispatcher);
  /// Fails the test when the call does not complete. Once.
  ExpertOutcome Wait();
  /// Whether Wait would return at once.
  bool Done() const;
  /// Expects it to succeed, and returns the slots.
  std::vector<float> Run(ExpertDispatcher& dispatcher);
  /// What shards compute over an f32 wire, bit for bit.
  std::vector<float> Expected() const;
  int slots() const { return offsets_.back(); }
  /// The unit of each slot.
  const std::vector<std::uint32_t>& units() const { return units_; }
  /// The row of a slot as it is now, or as it should be.
  std::vector<float> Row(int slot) const { return RowOf(slots_, slot); }
  std::vector<float> ExpectedRow(int slot) const { return RowOf(Expected(), slot); }

 private:
  std::vector<float> RowOf(const std::vector<float>& slots, int slot) const;

  std::vector<float> rows_;
  std::vector<std::int32_t> experts_;
  std::vector<float> weights_;
  std::vector<std::int32_t> offsets_;
  std::vector<std::uint32_t> units_;
  std::vector<absl::Duration> deadlines_;
  std::unique_ptr<bool[]> prefill_;
  std::vector<float> slots_;
  ExpertCall call_;
  std::promise<ExpertOutcome> promise_;
  std::future<ExpertOutcome> outcome_ = promise_.get_future();
};

/// Without a budget nothing is hedged: what happens then does not depend on how long answers take.
inline constexpr RetryBudget::Options kNoHedges = {.capacity = 0};

/// Of a dispatcher on an f32 wire that connects again quickly and does not hedge.
ExpertDispatcher::Options DispatcherOptions(int hidden_size = 8);
std::unique_ptr<ExpertDispatcher> MakeDispatcher(ExpertDispatcher::Options options);
std::unique_ptr<ExpertDispatcher> MakeDispatcher(int hidden_size = 8,
                                                 rpc::WireDtype wire_dtype = rpc::WireDtype::kF32,
                                                 RetryBudget::Options budget = kNoHedges);

/// Waits until both streams to every shard are up.
bool AllConnected(const ExpertDispatcher& dispatcher);

}  // namespace moesaic::router
