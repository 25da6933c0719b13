#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "model/checkpoint.h"
#include "placement/view/topology.h"
#include "shard/expert_packing.h"
#include "shard/packed_cache.h"

namespace moesaic::shard {

/// The experts of one unit, ascending. Immutable.
struct UnitWeights {
  std::vector<PackedExpert> experts;

  std::uint64_t bytes() const;
};

/// Which units are held at one moment, with their weights. A computation keeps the set it started
/// with, so that loading and unloading go on beside it. Immutable.
class HeldUnits {
 public:
  explicit HeldUnits(std::size_t units_total) : units_(units_total) {}

  /// nullptr when the unit of that number is not held. Lives as long as this set.
  const UnitWeights* Find(std::uint32_t number) const { return units_[number].get(); }

 private:
  friend class ExpertStore;
  std::vector<std::shared_ptr<const UnitWeights>> units_;
};

/// The routed experts a shard holds, packed from a checkpoint unit by unit. Reads only the bytes of
/// the units it is told to load, and never holds more than its limit. Thread-safe.
class ExpertStore {
 public:
  struct Options {
    std::uint32_t unit_size = 1;
    std::uint64_t memory_bytes = 0;
    base::DType compute_dtype = base::DType::kBF16;
    std::optional<base::DType> weight_dtype = std::nullopt;  ///< kI8, or nothing: as stored.
    std::string cache_dir = {};     ///< Of packed units (PackedCache); empty = none.
    std::uint64_t cache_bytes = 0;  ///< Most it may take; 0 = what all units take.
    std::string fingerprint = {};   ///< Of the checkpoint, for the cache.
  };

  /// Reads the headers of one expert to learn what a unit takes. `checkpoint`, `pool` (which shares
  /// the packing work) and `clock` outlive the store. A cache that cannot be used is logged.
  /// Errors: InvalidArgument for a unit size beyond the experts of a layer, a model without routed
  /// experts, a compute dtype other than f32 and bf16, or a weight dtype other than kI8; what
  /// reading the checkpoint reports.
  static absl::StatusOr<std::unique_ptr<ExpertStore>> Create(
      const model::Checkpoint& checkpoint, Options options, base::ComputePool& pool,
      const base::Clock& clock = base::Clock::Real());

  const placement::ExpertTopology& topology() const { return topology_; }
  std::uint64_t memory_bytes() const { return options_.memory_bytes; }
  /// Loads `units` in their order (those already held are kept), a few at a time, and returns when
  /// all are held. Each becomes usable before the next few are begun; `loaded` hears of it, on this
  /// thread. What is in the cache is read from there, the rest packed and written there. One runs
  /// at a time, others wait for it. Errors: ResourceExhausted naming limit and need, with nothing
  /// loaded; InvalidArgument for a unit that does not exist; Cancelled after Stop; what reading the
  /// checkpoint reports (units packed before stay).
  absl::Status Load(
      absl::Span<const placement::UnitKey> units, absl::FunctionRef<void()> loaded = [] {});
  /// Forgets `units`; memory returns when the last computation on them ends.
  void Unload(absl::Span<const placement::UnitKey> units);
  /// Makes loads in progress and later ones end with Cancelled.
  void Stop();

  /// The present set. Never null.
  std::shared_ptr<const HeldUnits> Current() const;
  /// Units held, ascending.
  std::vector<placement::UnitKey> Held() const;
  /// Bytes of packed weights held.
  std::uint64_t held_bytes() const;
  /// Units loaded since the store was made.
  std::uint64_t loads_total() const { return loads_total_; }
  /// Of those, how many were read from the cache.
  std::uint64_t units_from_cache() const { return units_from_cache_; }
  /// Returns when all units packed so far are in the cache, or were given up.
  void FlushCache();

 private:
  ExpertStore(const model::Checkpoint& checkpoint, Options options,
              placement::ExpertTopology topology, base::ComputePool& pool, const base::Clock& clock,
              std::unique_ptr<PackedCache> cache);

  struct Fetched {
    std::shared_ptr<const UnitWeights> unit;
    bool cached = false;
  };
  /// A unit from the cache, else packed. Thread-safe.
  absl::StatusOr<Fetched> Fetch(const placement::UnitKey& key) const;
  absl::StatusOr<std::vector<PackedExpert>> PackUnit(
      absl::Span<const model::MlpWeights> experts) const;
  /// Swaps in a set in which `change` was applied to the units.
  void Publish(absl::FunctionRef<void(std::vector<std::shared_ptr<const UnitWeights>>&)> change);
  /// Waits for its turn to load; false after Stop.
  bool BeginLoad();
  void EndLoad();
  absl::Status LoadInTurn(absl::Span<const placement::UnitKey> units,
                          absl::FunctionRef<void()> loaded);

  const model::Checkpoint& checkpoint_;
  const Options options_;
  const placement::ExpertTopology topology_;
  base::ComputePool& pool_;
  const base::Clock& clock_;
  const std::unique_ptr<PackedCache> cache_;  // nullptr = none

  std::atomic<std::uint64_t> loads_total_{0};
  std::atomic<std::uint64_t> units_from_cache_{0};
  mutable base::Mutex mutex_;
  base::CondVar turn_;
  bool loading_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const HeldUnits> held_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace moesaic::shard
