#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/ids.h"
#include "base/mutex.h"
#include "model/checkpoint.h"
#include "placement/view/topology.h"
#include "shard/expert_packing.h"

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
  };

  /// Reads the headers of one expert to learn what a unit takes. `checkpoint` and `pool` (which
  /// shares the packing work) outlive the store.
  /// Errors: InvalidArgument for a unit size beyond the experts of a layer, a model without routed
  /// experts, a compute dtype other than f32 and bf16, or a weight dtype other than kI8; what
  /// reading the checkpoint reports.
  static absl::StatusOr<std::unique_ptr<ExpertStore>> Create(const model::Checkpoint& checkpoint,
                                                             Options options,
                                                             base::ComputePool& pool);

  const placement::ExpertTopology& topology() const { return topology_; }
  std::uint64_t memory_bytes() const { return options_.memory_bytes; }
  /// Loads `units` in their order (those already held are kept) and returns when all are held. Each
  /// becomes usable as soon as it is packed; `loaded` hears of it, on this thread. One load runs at
  /// a time, others wait for it. Errors: ResourceExhausted naming limit and need, with nothing
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

 private:
  ExpertStore(const model::Checkpoint& checkpoint, Options options,
              placement::ExpertTopology topology, base::ComputePool& pool);

  absl::StatusOr<std::shared_ptr<const UnitWeights>> PackUnit(const placement::UnitKey& key) const;
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

  std::atomic<std::uint64_t> loads_total_{0};
  mutable base::Mutex mutex_;
  base::CondVar turn_;
  bool loading_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<const HeldUnits> held_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t held_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace moesaic::shard
