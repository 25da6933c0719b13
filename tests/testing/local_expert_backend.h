#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/compute_pool.h"
#include "base/dtype.h"
#include "base/stream.h"
#include "kernels/packed_matrix.h"
#include "model/checkpoint.h"
#include "router/engine/expert_backend.h"

namespace moesaic::testing {

/// All routed experts of a checkpoint in this process, with a shard's arithmetic: per (token, unit)
/// the weighted sum over the unit's experts ascending, rounded once to the wire type. Thread-safe.
class LocalExpertBackend final : public router::ExpertBackend {
 public:
  /// Decides whether a token (row number) of a call fails, and with what.
  using Fault = std::function<absl::Status(const router::ExpertCall&, std::int32_t token)>;

  /// Decides whether a slot of a token is left out; it then holds NaN.
  using Skip =
      std::function<bool(const router::ExpertCall&, std::int32_t token, std::int32_t slot)>;

  static absl::StatusOr<std::unique_ptr<LocalExpertBackend>> Create(
      const model::Checkpoint& checkpoint, base::DType compute_dtype,
      std::optional<base::DType> weight_dtype, base::DType wire_dtype, int unit_size,
      base::ComputePool& pool);

  void Compute(const router::ExpertCall& call,
               absl::AnyInvocable<void(router::ExpertOutcome)> done) override;
  absl::Status Ready() const override { return absl::OkStatus(); }
  int unit_size() const override { return unit_size_; }

  /// Set before the first call.
  void set_fault(Fault fault) { fault_ = std::move(fault); }
  void set_skip(Skip skip) { skip_ = std::move(skip); }

 private:
  struct Expert {
    kernels::PackedMatrix gate_up;
    kernels::PackedMatrix down;
  };
  struct Job;

  LocalExpertBackend(base::DType wire_dtype, int unit_size, base::ComputePool& pool)
      : wire_dtype_(wire_dtype), unit_size_(unit_size), stream_(pool) {}
  std::unique_ptr<Job> MakeJob(const router::ExpertCall& call) const;
  void RoundToWire(const router::ExpertCall& call) const;
  /// Lists the slots that are left out.
  std::vector<std::int32_t> SkippedSlots(const router::ExpertCall& call) const;

  const base::DType wire_dtype_;
  const int unit_size_;
  std::vector<std::vector<Expert>> layers_;  // by layer; empty where it is dense
  Fault fault_;
  Skip skip_;
  base::Mutex mutex_;  // one enqueuer at a time
  base::CpuStream stream_;
};

}  // namespace moesaic::testing
