#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "base/clock.h"
#include "base/compute_pool.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "placement/view/topology.h"
#include "rpc/buffer_pool.h"
#include "rpc/dispatch_message.h"
#include "shard/batcher.h"
#include "shard/expert_store.h"
#include "shard/ffn_plan.h"

namespace moesaic::shard {

/// Computes one batch at a time on a stream of its own: stacks the rows in the compute dtype, runs
/// the experts, rounds each slot once to the reply's dtype. Its buffers grow to the largest batch
/// seen and are reused. Thread-compatible.
class FfnExecutor {
 public:
  struct Options {
    placement::ExpertTopology topology;
    std::int64_t hidden_size = 0;
    std::int64_t intermediate_size = 0;
    base::DType compute_dtype = base::DType::kBF16;
  };
  /// An answered work.
  struct Result {
    Work work;
    rpc::DispatchReply reply;
  };
  struct Outcome {
    std::vector<Result> results;    ///< One per work, in the batch's order.
    std::uint64_t expert_rows = 0;  ///< Assignments computed.
    std::uint32_t experts = 0;      ///< Distinct experts among them.
    absl::Duration compute;         ///< From the start of the batch to its last result.
  };
  using Done = absl::AnyInvocable<void(Outcome)>;

  /// `compute` runs the kernels, `replies` lends memory for results; all borrowed.
  FfnExecutor(Options options, base::ComputePool& compute, rpc::BufferPool& replies,
              const base::Clock& clock);

  /// Starts a batch of works of one layer, checked as PlanBatch requires, and returns; or computes
  /// it `here`, on the calling thread with the help of idle compute threads. `done` runs once, on a
  /// compute thread or here, and may start the next batch. Requires: no batch in progress.
  void Compute(std::vector<Work> works, std::shared_ptr<const HeldUnits> held, bool here,
               Done done);

 private:
  /// Everything a batch in progress needs.
  struct InProgress {
    std::vector<Work> works;
    std::shared_ptr<const HeldUnits> held;
    FfnPlan plan;
    Done done;
    absl::Duration started;
    base::TensorView x;  ///< [rows, hidden] compute dtype
    base::TensorView y;  ///< [slots, hidden] f32
    std::vector<rpc::DispatchReply> replies;
  };

  absl::Status Launch();
  /// The stacked input: the only work's own bytes where they are already in the compute dtype.
  absl::Status PlaceInput();
  void StackRows(base::ComputePool& pool);
  /// Gives each reply its memory and fills in everything but the rows.
  void PrepareReplies();
  void EncodeResults(base::ComputePool& pool);
  void Finish(const absl::Status& status);

  const Options options_;
  rpc::BufferPool& replies_;
  const base::Clock& clock_;
  base::Buffer x_;
  base::Buffer y_;
  base::Buffer workspace_;
  InProgress batch_;
  base::CpuStream stream_;  // last: its destructor waits for what uses the rest
};

}  // namespace moesaic::shard
