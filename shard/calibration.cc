#include "shard/calibration.h"

#include <algorithm>
#include <cstddef>
#include <future>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::shard {
namespace {

/// Two points tell the cost of an expert from that of its rows; more make them reliable.
constexpr std::uint32_t kExperts = 4;
constexpr std::uint32_t kRowsPerExpert[] = {1, 4, 16};
/// Reading more than this would delay a start by seconds.
constexpr std::uint64_t kMaxBytes = std::uint64_t{512} << 20;
/// More repetitions of a shape than this make its minimum no better.
constexpr int kMaxRounds = 16;

struct Shape {
  std::uint32_t experts;
  std::uint32_t rows_per_expert;
  auto operator<=>(const Shape&) const = default;
};

/// A dispatch of a shape, with the memory it borrows.
struct Batch {
  Batch(Shape shape, std::int64_t hidden_size, base::DType dtype)
      : rows(shape.experts * shape.rows_per_expert * hidden_size * base::DTypeBytes(dtype),
             std::byte{0x3c}),  // 0.0115 in bf16 and in f32: no special values
        weights(shape.experts * shape.rows_per_expert, 1.0f),
        wire_dtype(dtype == base::DType::kF32 ? rpc::WireDtype::kF32 : rpc::WireDtype::kBF16) {
    for (std::uint32_t row = 0; row < weights.size(); ++row) {
      row_index.push_back(row);
      expert_id.push_back(row % shape.experts);
    }
  }

  std::vector<Work> Works(base::LayerId layer) const {
    std::vector<Work> works(1);
    rpc::Dispatch& dispatch = works[0].dispatch;
    dispatch.layer = layer;
    dispatch.dtype = wire_dtype;
    dispatch.row_count = static_cast<std::uint32_t>(row_index.size());
    dispatch.rows = rows;
    dispatch.row_index = row_index;
    dispatch.expert_id = expert_id;
    dispatch.weight = weights;
    return works;
  }

  std::vector<std::byte> rows;  // [experts * rows_per_expert, hidden]
  std::vector<float> weights;
  rpc::WireDtype wire_dtype;
  std::vector<std::uint32_t> row_index;
  std::vector<std::uint32_t> expert_id;
};

absl::Duration TimeOf(const Batch& batch, const ExpertStore& store, FfnExecutor& executor) {
  std::promise<absl::Duration> computed;
  executor.Compute(batch.Works(store.topology().moe_layers.front()), store.Current(),
                   /*here=*/false,
                   [&](FfnExecutor::Outcome outcome) { computed.set_value(outcome.compute); });
  return computed.get_future().get();
}

std::vector<placement::UnitKey> UnitsToLoad(const placement::ExpertTopology& topology,
                                            std::uint64_t memory_bytes) {
  const std::uint64_t fits = std::min(kMaxBytes, memory_bytes) / topology.unit_bytes;
  const std::uint64_t wanted = (kExperts + topology.unit_size - 1) / topology.unit_size;
  const std::uint64_t count = std::min<std::uint64_t>({wanted, topology.units_per_layer(), fits});
  std::vector<placement::UnitKey> units;
  for (std::uint32_t unit = 0; unit < count; ++unit) {
    units.push_back({topology.moe_layers.front(), base::UnitId(unit)});
  }
  return units;
}

}  // namespace

absl::Status Calibrate(const CalibrationOptions& options, std::int64_t hidden_size,
                       ExpertStore& store, FfnExecutor& executor, const base::Clock& clock,
                       SpeedMeter& meter) {
  if (options.budget <= absl::ZeroDuration()) return absl::OkStatus();
  const placement::ExpertTopology& topology = store.topology();
  const auto units = UnitsToLoad(topology, store.memory_bytes());
  if (units.empty()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("a unit takes ", topology.unit_bytes, " bytes"));
  }
  MOESAIC_RETURN_IF_ERROR(store.Load(units));
  const auto held = std::min<std::uint32_t>(
      {kExperts, static_cast<std::uint32_t>(units.size()) * topology.unit_size,
       topology.experts_per_layer});

  std::map<Shape, absl::Duration> shortest;
  const absl::Duration until = clock.Monotonic() + options.budget;
  for (int round = 0; round < kMaxRounds && (round == 0 || clock.Monotonic() < until); ++round) {
    for (const std::uint32_t experts : {1u, held}) {
      for (const std::uint32_t rows : kRowsPerExpert) {
        const Batch batch({experts, rows}, hidden_size, options.compute_dtype);
        const absl::Duration time = TimeOf(batch, store, executor);
        absl::Duration& best = shortest.try_emplace({experts, rows}, time).first->second;
        best = std::min(best, time);
      }
    }
  }
  store.Unload(units);
  for (const auto& [shape, time] : shortest) {
    meter.OnBatch(shape.experts * shape.rows_per_expert, shape.experts, time);
  }
  return absl::OkStatus();
}

}  // namespace moesaic::shard
