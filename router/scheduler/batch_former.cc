#include "router/scheduler/batch_former.h"

#include <algorithm>
#include <utility>

#include "router/scheduler/kv_allocator.h"

namespace moesaic::router {
namespace {

/// A generated position computed alone, which yields the next token.
bool IsDecode(const SequenceSnapshot& sequence) {
  return sequence.computed >= sequence.prompt_length && sequence.target - sequence.computed == 1;
}

/// The plan under construction, with what is left of the step's means.
class BatchFormer {
 public:
  explicit BatchFormer(const SchedulingSnapshot& snapshot)
      : snapshot_(snapshot),
        free_blocks_(snapshot.free_blocks),
        tokens_left_(snapshot.max_step_tokens),
        running_(static_cast<std::int32_t>(snapshot.running.size())) {
    plan_.slices.reserve(snapshot.running.size() + snapshot.waiting.size());
  }

  StepPlan Form() {
    for (std::int32_t i = 0; i < running_; ++i) {
      if (IsDecode(snapshot_.running[i])) AddDecode(i);
    }
    if (DecodesPrevail()) tokens_left_ = std::min(tokens_left_, snapshot_.max_beside_decodes);
    for (std::int32_t i = 0; i < running_; ++i) {
      if (!IsDecode(snapshot_.running[i])) AddPrefill(i, snapshot_.running[i]);
    }
    if (plan_.preempted.empty()) Admit();
    return std::move(plan_);
  }

 private:
  /// Whether there are decodes, and at most twice as many sequences in or before their prefill.
  bool DecodesPrevail() const {
    const auto decodes = static_cast<std::int32_t>(plan_.slices.size());
    const auto waiting = static_cast<std::int32_t>(snapshot_.waiting.size());
    const std::int32_t may_begin = std::min(waiting, snapshot_.max_num_seqs - running_);
    return decodes > 0 && running_ - decodes + may_begin <= 2 * decodes;
  }

  std::int32_t BlocksToReach(const SequenceSnapshot& sequence, std::int32_t positions) const {
    const auto needed = static_cast<std::int32_t>(BlocksFor(positions, snapshot_.block_tokens));
    return std::max(0, needed - sequence.blocks);
  }

  void AddSlice(std::int32_t index, std::int32_t tokens, std::int32_t new_blocks) {
    plan_.slices.push_back({index, tokens, new_blocks});
    tokens_left_ -= tokens;
    free_blocks_ -= new_blocks;
  }

  /// Shrinks the running set from its young end until `blocks` are free; `index` itself may go.
  void PreemptFor(std::int32_t index, std::int32_t blocks) {
    while (free_blocks_ < blocks && running_ > index) {
      --running_;
      free_blocks_ += snapshot_.running[running_].blocks;
      plan_.preempted.push_back(running_);
    }
  }

  void AddDecode(std::int32_t index) {
    if (tokens_left_ == 0) return;
    const SequenceSnapshot& sequence = snapshot_.running[index];
    const std::int32_t new_blocks = BlocksToReach(sequence, sequence.target);
    PreemptFor(index, new_blocks);
    if (index < running_) AddSlice(index, 1, new_blocks);
  }

  void AddPrefill(std::int32_t index, const SequenceSnapshot& sequence) {
    const std::int32_t room =
        (sequence.blocks + free_blocks_) * snapshot_.block_tokens - sequence.computed;
    const std::int32_t tokens = std::min({sequence.target - sequence.computed, tokens_left_, room});
    if (tokens <= 0) return;
    AddSlice(index, tokens, BlocksToReach(sequence, sequence.computed + tokens));
  }

  /// Blocks that running sequences still need to reach their next token, beyond this step's.
  std::int32_t PromisedBlocks() const {
    std::int32_t promised = 0;
    for (const SequenceSnapshot& sequence : snapshot_.running) {
      promised += BlocksToReach(sequence, sequence.target);
    }
    for (const StepPlan::Slice& slice : plan_.slices) promised -= slice.new_blocks;
    return promised;
  }

  void Admit() {
    std::int32_t promised = PromisedBlocks();
    for (const SequenceSnapshot& sequence : snapshot_.waiting) {
      if (tokens_left_ == 0 || running_ + plan_.admitted == snapshot_.max_num_seqs) return;
      const std::int32_t needed = BlocksToReach(sequence, sequence.target);
      if (needed > free_blocks_ - promised) return;
      const std::int32_t before = free_blocks_;
      AddPrefill(running_ + plan_.admitted, sequence);
      promised += needed - (before - free_blocks_);
      ++plan_.admitted;
    }
  }

  const SchedulingSnapshot& snapshot_;
  std::int32_t free_blocks_;
  std::int32_t tokens_left_;
  std::int32_t running_;  // sequences of the running list that stay
  StepPlan plan_;
};

}  // namespace

std::int32_t CountDecodes(const SchedulingSnapshot& snapshot) {
  return static_cast<std::int32_t>(
      std::count_if(snapshot.running.begin(), snapshot.running.end(), IsDecode));
}

StepPlan FormBatch(const SchedulingSnapshot& snapshot) { return BatchFormer(snapshot).Form(); }

}  // namespace moesaic::router
