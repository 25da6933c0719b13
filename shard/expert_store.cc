#include "shard/expert_store.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::shard {

using placement::UnitKey;

namespace {

/// Units fetched at once: reading one while another is packed keeps disk and processors busy, and
/// each needs memory for what it is packed from.
constexpr int kUnitsAtATime = 4;

/// The cache that the options ask for, if it can be used.
std::unique_ptr<PackedCache> OpenCache(const ExpertStore::Options& options,
                                       const placement::ExpertTopology& topology) {
  if (options.cache_dir.empty()) return nullptr;
  const auto name = [](base::DType dtype) { return base::ToAbsl(base::DTypeName(dtype)); };
  // What a file takes beside the weights is less than a hundredth of them, or a few pages.
  const std::uint64_t all_units =
      topology.units_total() * (topology.unit_bytes + topology.unit_bytes / 100 + (64 << 10));
  auto cache =
      PackedCache::Open({.directory = options.cache_dir,
                         .identity = absl::StrCat(
                             "checkpoint ", options.fingerprint, "\nunit size ", options.unit_size,
                             "\ncompute dtype ", name(options.compute_dtype), "\nweight dtype ",
                             options.weight_dtype ? name(*options.weight_dtype) : "as stored",
                             "\nbf16 weights ", kernels::bf16_code::IsFaster() ? "coded" : "plain"),
                         .max_bytes = options.cache_bytes > 0 ? options.cache_bytes : all_units});
  if (cache.ok()) return *std::move(cache);
  base::LogWarning("starting without a cache of packed units: ", cache.status().ToString());
  return nullptr;
}

/// Says how far a load is, now and then, and what it came to.
class LoadProgress {
 public:
  LoadProgress(const base::Clock& clock, std::size_t units)
      : clock_(clock), units_(units), begun_(clock.Monotonic()), said_(begun_) {}

  void Add(std::uint64_t bytes, bool cached) {
    ++loaded_;
    bytes_ += bytes;
    cached_ += cached ? 1 : 0;
    const absl::Duration now = clock_.Monotonic();
    if (now - said_ < absl::Seconds(5)) return;
    said_ = now;
    base::LogInfo("loading: ", loaded_, " of ", units_, " units");
  }

  void Finish() const {
    if (units_ == 0) return;
    base::LogInfo("loaded ", units_, " units of ", bytes_ / 1'000'000, " MB in ",
                  absl::ToInt64Milliseconds(clock_.Monotonic() - begun_), " ms, ", cached_,
                  " of them from the packed cache");
  }

 private:
  const base::Clock& clock_;
  const std::size_t units_;
  const absl::Duration begun_;
  absl::Duration said_;
  std::size_t loaded_ = 0;
  std::size_t cached_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

std::uint64_t UnitWeights::bytes() const {
  std::uint64_t bytes = 0;
  for (const PackedExpert& expert : experts) bytes += expert.bytes();
  return bytes;
}

absl::StatusOr<std::unique_ptr<ExpertStore>> ExpertStore::Create(
    const model::Checkpoint& checkpoint, Options options, base::ComputePool& pool,
    const base::Clock& clock) {
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
                    ShapeOf(first, {options.compute_dtype, options.weight_dtype}).bytes()};
  std::unique_ptr<PackedCache> cache = OpenCache(options, topology);
  return std::unique_ptr<ExpertStore>(
      new ExpertStore(checkpoint, options, std::move(topology), pool, clock, std::move(cache)));
}

ExpertStore::ExpertStore(const model::Checkpoint& checkpoint, Options options,
                         placement::ExpertTopology topology, base::ComputePool& pool,
                         const base::Clock& clock, std::unique_ptr<PackedCache> cache)
    : checkpoint_(checkpoint),
      options_(options),
      topology_(std::move(topology)),
      pool_(pool),
      clock_(clock),
      cache_(std::move(cache)),
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
  LoadProgress progress(clock_, missing.size());
  const auto window = static_cast<std::size_t>(std::min(pool_.threads(), kUnitsAtATime));
  for (std::size_t begin = 0; begin < missing.size(); begin += window) {
    {
      base::MutexLock lock(mutex_);
      if (stopped_) return absl::CancelledError("the expert store is stopping");
    }
    const auto keys = absl::MakeConstSpan(missing).subspan(begin, window);
    std::vector<absl::StatusOr<Fetched>> fetched(keys.size());
    pool_.ParallelFor(static_cast<std::int64_t>(keys.size()),
                      [&](std::int64_t i) { fetched[i] = Fetch(keys[i]); });
    for (std::size_t i = 0; i < keys.size(); ++i) {
      MOESAIC_RETURN_IF_ERROR(fetched[i].status());
      progress.Add(fetched[i]->unit->bytes(), fetched[i]->cached);
      Publish(
          [&](auto& table) { table[topology_.NumberOf(keys[i])] = std::move(fetched[i]->unit); });
      ++loads_total_;
      if (fetched[i]->cached) ++units_from_cache_;
      loaded();
    }
  }
  progress.Finish();
  return absl::OkStatus();
}

absl::StatusOr<ExpertStore::Fetched> ExpertStore::Fetch(const UnitKey& key) const {
  const model::WeightMap weights(checkpoint_);
  const std::uint32_t begin = key.unit.value() * topology_.unit_size;
  const std::uint32_t end = std::min(begin + topology_.unit_size, topology_.experts_per_layer);
  std::vector<model::MlpWeights> experts;
  std::vector<PackedExpertShape> shapes;
  std::uint64_t bytes = 0;
  for (std::uint32_t expert = begin; expert < end; ++expert) {
    MOESAIC_ASSIGN_OR_RETURN(model::MlpWeights mlp,
                             weights.RoutedExpert(key.layer, base::ExpertId(expert)));
    shapes.push_back(ShapeOf(mlp, {options_.compute_dtype, options_.weight_dtype}));
    experts.push_back(std::move(mlp));
    bytes += shapes.back().bytes();
  }
  if (bytes > topology_.unit_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("layer ", key.layer.value(), " unit ", key.unit.value(), " takes ", bytes,
                     " bytes, more than the ", topology_.unit_bytes, " of the first unit"));
  }
  auto unit = std::make_shared<UnitWeights>();
  if (cache_ != nullptr) {
    auto cached = cache_->Load(key, shapes, pool_);
    if (cached.ok()) {
      unit->experts = *std::move(cached);
      return Fetched{std::move(unit), /*cached=*/true};
    }
    if (!absl::IsNotFound(cached.status())) {
      base::LogWarning("packed unit not used: ", cached.status().ToString());
    }
  }
  MOESAIC_ASSIGN_OR_RETURN(unit->experts, PackUnit(experts));
  if (cache_ != nullptr) {
    // A view of the unit's experts that keeps nothing alive.
    cache_->Save(key, std::shared_ptr<const std::vector<PackedExpert>>(unit, &unit->experts));
  }
  return Fetched{std::move(unit), /*cached=*/false};
}

absl::StatusOr<std::vector<PackedExpert>> ExpertStore::PackUnit(
    absl::Span<const model::MlpWeights> experts) const {
  std::vector<PackedExpert> packed;
  for (const model::MlpWeights& expert : experts) {
    MOESAIC_ASSIGN_OR_RETURN(
        PackedExpert one,
        PackExpert(checkpoint_, expert, {options_.compute_dtype, options_.weight_dtype}, &pool_));
    packed.push_back(std::move(one));
  }
  return packed;
}

void ExpertStore::FlushCache() {
  if (cache_ != nullptr) cache_->Flush();
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
