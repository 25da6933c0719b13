#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"

namespace moesaic::kernels {

/// Log-probabilities of chosen tokens and of the most likely ones, from raw logits, in f32.
///
/// Per row: m = max x; z = Log(16-lane sum of Exp(x - m)); logprob(i) = (x_i - m) - z. Ties among
/// the most likely go to the lowest id. A row with any non-finite logit is marked invalid; its
/// log-probabilities are NaN and its ids -1, and no other row is touched by it.
struct LogSoftmaxArgs {
  /// f32 [rows, vocab], unchanged.
  base::TensorView logits;
  /// Optional i32 [rows]: the token whose log-probability is wanted, -1 for none.
  base::TensorView targets;
  /// f32 [rows]: logprob(targets[r]), NaN where none is wanted. Present iff targets is.
  base::TensorView target_logprobs;
  /// i32 [rows, top_n] and f32 [rows, top_n]: the most likely tokens, descending; both without data
  /// or both present. 0 ≤ top_n ≤ vocab.
  base::TensorView top_ids;
  base::TensorView top_logprobs;
  /// u8 [rows]: 1 where the row is invalid, else 0.
  base::TensorView invalid;
};

/// Errors: InvalidArgument naming what does not fit; Unimplemented for a device without this op.
absl::Status CanRun(const LogSoftmaxArgs& args);
/// 0.
std::size_t WorkspaceBytes(const LogSoftmaxArgs& args);
/// Enqueues the op. Errors: those of CanRun.
absl::Status Launch(const LogSoftmaxArgs& args, base::TensorView workspace, base::Stream& stream);

/// The same arithmetic by plain loops over host memory, for tests. Requires: CanRun(args) is OK.
void LogSoftmaxReference(const LogSoftmaxArgs& args);

}  // namespace moesaic::kernels
