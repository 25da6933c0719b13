#include "shard/expert_store.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::shard {

using placement::UnitKey;

std::uint64_t UnitWeights::bytes() const {
  std::uint64_t bytes = 0;
  for (const PackedExpert& expert : experts) bytes += expert.bytes();
  return bytes;
}

absl::StatusOr<std::unique_ptr<ExpertStore>> ExpertStore::Create(
    const model::Checkpoint& checkpoint, Options options, base::ComputePool& pool) {
  const model::ModelConfig& config = checkpoint.config();
  if (config.moe_layers.empty() || config.moe.num_experts < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat(checkpoint.directory(), " has no routed experts"));
  }
  const auto experts = static_cast<std::uint32_t>(config.moe.num_experts);
  if (options.unit_size < 1 || options.unit_size > experts) {
    return absl::InvalidArgumentError(
        absl::StrCat("unit size ", options.unit_size, "; the model has ", experts, " experts"));
  }
  if (options.compute_dtype != base::DType::kF32 && options.compute_dtype != base::DType::kBF16) {
    return absl::InvalidArgumentError("compute dtype is neither f32 nor bf16");
  }
  if (options.weight_dtype && *options.weight_dtype != base::DType::kI8) {
    return absl::InvalidArgumentError("weights can be converted to i8 only");
  }
  MOESAIC_ASSIGN_OR_RETURN(
      const model::MlpWeights first,
      model::WeightMap(checkpoint).RoutedExpert(config.moe_layers.front(), base::ExpertId(0)));
  placement::ExpertTopology topology{
      .moe_layers = config.moe_layers,
      .experts_per_layer = experts,
      .unit_size = options.unit_size,
      .unit_bytes = options.unit_size *
                    PackedExpertBytes(first, {options.compute_dtype, options.weight_dtype})};
  return std::unique_ptr<ExpertStore>(
      new ExpertStore(checkpoint, options, std::move(topology), pool));
}

ExpertStore::ExpertStore(const model::Checkpoint& checkpoint, Options options,
                         placement::ExpertTopology topology, base::ComputePool& pool)
    : checkpoint_(checkpoint),
      options_(options),
      topology_(std::move(topology)),
      pool_(pool),
      held_(std::make_shared<HeldUnits>(topology_.units_total())) {}

absl::Status ExpertStore::Load(absl::Span<const UnitKey> units, absl::FunctionRef<void()> loaded) {
  for (const UnitKey& key : units) {
    if (!topology_.LayerIndex(key.layer) || key.unit.value() >= topology_.units_per_layer()) {
      return absl::InvalidArgumentError(absl::StrCat("layer ", key.layer.value(), " has no unit ",
                                                     key.unit.value(), " of routed experts"));
    }
  }
  if (!BeginLoad()) return absl::CancelledError("the expert store is stopping");
  absl::Cleanup end = [this] { EndLoad(); };
  return LoadInTurn(units, loaded);
}

absl::Status ExpertStore::LoadInTurn(absl::Span<const UnitKey> units,
                                     absl::FunctionRef<void()> loaded) {
  std::vector<UnitKey> missing;
  absl::flat_hash_set<UnitKey> seen;
  const std::shared_ptr<const HeldUnits> held = Current();
  for (const UnitKey& key : units) {
    const bool is_held = held->Find(topology_.NumberOf(key)) != nullptr;
    if (!is_held && seen.insert(key).second) missing.push_back(key);
  }

  // Units can only be unloaded while we load, so what fits now fits until the end.
  const std::uint64_t need = missing.size() * topology_.unit_bytes;
  if (const std::uint64_t used = held_bytes(); used + need > options_.memory_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(missing.size(), " units need ", need,
                                                     " bytes; ", used, " of ",
                                                     options_.memory_bytes, " are in use"));
  }
  for (const UnitKey& key : missing) {
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return absl::CancelledError("the expert store is stopping");
    }
    MOESAIC_ASSIGN_OR_RETURN(auto unit, PackUnit(key));
    Publish([&](auto& table) { table[topology_.NumberOf(key)] = std::move(unit); });
    ++loads_total_;
    loaded();
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const UnitWeights>> ExpertStore::PackUnit(const UnitKey& key) const {
  auto unit = std::make_shared<UnitWeights>();
  const model::WeightMap weights(checkpoint_);
  const std::uint32_t begin = key.unit.value() * topology_.unit_size;
  const std::uint32_t end = std::min(begin + topology_.unit_size, topology_.experts_per_layer);
  for (std::uint32_t expert = begin; expert < end; ++expert) {
    MOESAIC_ASSIGN_OR_RETURN(const model::MlpWeights mlp,
                             weights.RoutedExpert(key.layer, base::ExpertId(expert)));
    MOESAIC_ASSIGN_OR_RETURN(
        PackedExpert packed,
        PackExpert(checkpoint_, mlp, {options_.compute_dtype, options_.weight_dtype}, &pool_));
    unit->experts.push_back(std::move(packed));
  }
  if (unit->bytes() > topology_.unit_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "layer ", key.layer.value(), " unit ", key.unit.value(), " takes ", unit->bytes(),
        " bytes, more than the ", topology_.unit_bytes, " of the first unit"));
  }
  return unit;
}

void ExpertStore::Unload(absl::Span<const UnitKey> units) {
  Publish([&](auto& table) {
    for (const UnitKey& key : units) table[topology_.NumberOf(key)] = nullptr;
  });
}

void ExpertStore::Publish(
    absl::FunctionRef<void(std::vector<std::shared_ptr<const UnitWeights>>&)> change) {
  std::shared_ptr<const HeldUnits> replaced;  // weights are freed after the lock is released
  base::MutexLock lock(mutex_);
  auto next = std::make_shared<HeldUnits>(*held_);
  change(next->units_);
  held_bytes_ = 0;
  for (const auto& unit : next->units_) held_bytes_ += unit == nullptr ? 0 : unit->bytes();
  replaced = std::exchange(held_, std::move(next));
}

bool ExpertStore::BeginLoad() {
  base::MutexLock lock(mutex_);
  while (loading_ && !stopped_) turn_.Wait(mutex_);
  if (stopped_) return false;
  loading_ = true;
  return true;
}

void ExpertStore::EndLoad() {
  {
    base::MutexLock lock(mutex_);
    loading_ = false;
  }
  turn_.NotifyAll();
}

void ExpertStore::Stop() {
  {
    base::MutexLock lock(mutex_);
    stopped_ = true;
  }
  turn_.NotifyAll();
}

std::shared_ptr<const HeldUnits> ExpertStore::Current() const {
  base::MutexLock lock(mutex_);
  return held_;
}

std::vector<UnitKey> ExpertStore::Held() const {
  const std::shared_ptr<const HeldUnits> held = Current();
  std::vector<UnitKey> keys;
  for (std::uint32_t number = 0; number < topology_.units_total(); ++number) {
    if (held->Find(number) != nullptr) keys.push_back(topology_.KeyOf(number));
  }
  return keys;
}

std::uint64_t ExpertStore::held_bytes() const {
  base::MutexLock lock(mutex_);
  return held_bytes_;
}

}  // namespace moesaic::shard
