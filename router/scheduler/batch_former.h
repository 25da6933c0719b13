#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace moesaic::router {

/// What batch formation may know of a sequence. Plain value.
struct SequenceSnapshot {
  std::int32_t prompt_length = 0;
  std::int32_t target = 0;    ///< Positions to compute before the next token can be chosen.
  std::int32_t computed = 0;  ///< Positions whose KV is in the cache, < target.
  std::int32_t blocks = 0;    ///< KV blocks it holds.
};

/// Everything a step is formed from. Plain value.
struct SchedulingSnapshot {
  std::vector<SequenceSnapshot> running;  ///< Oldest first.
  std::vector<SequenceSnapshot> waiting;  ///< In the order of admission; they hold no blocks.
  std::int32_t free_blocks = 0;
  std::int32_t block_tokens = 0;
  std::int32_t max_step_tokens = 0;  ///< ≥ max_num_seqs, so that every running sequence advances.
  std::int32_t max_num_seqs = 0;
  /// Of a step with decodes, the most positions that are not; but see FormBatch.
  std::int32_t max_beside_decodes = std::numeric_limits<std::int32_t>::max();
};

/// The next step. Executing it: release the blocks of `preempted`, admit, allocate, run.
struct StepPlan {
  /// Positions [computed, computed + tokens) of running[index], where the admitted sequences follow
  /// the running ones: index running.size() + i is waiting[i].
  struct Slice {
    std::int32_t index = 0;
    std::int32_t tokens = 0;
    std::int32_t new_blocks = 0;
    bool operator==(const Slice&) const = default;
  };
  std::vector<Slice> slices;            ///< Decodes first, then chunks of prefill.
  std::vector<std::int32_t> preempted;  ///< Indices into running, youngest first.
  std::int32_t admitted = 0;            ///< This many from the front of waiting.
};

/// Running sequences whose next position is a generated one computed alone, which yields the next
/// token.
std::int32_t CountDecodes(const SchedulingSnapshot& snapshot);

/// Forms a step: every running decode, oldest first, then prefill chunks of running sequences,
/// then of newly admitted ones, within max_step_tokens and max_beside_decodes. The latter
/// does not hold where more than twice as many sequences want to begin as generate: few wait for a
/// step full of prompts, and it makes a batch of them. A decode that finds no block takes those of
/// the youngest running sequence, itself in the end; prefill never preempts and takes the blocks
/// there are. A sequence is admitted when all blocks it needs to reach its next token are free
/// beyond what running prefills still need, and never in a step that preempts.
/// Pure: depends on nothing but its argument.
StepPlan FormBatch(const SchedulingSnapshot& snapshot);

}  // namespace moesaic::router
