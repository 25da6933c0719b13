#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "kernels/kv_cache.h"

namespace moesaic::kernels {

/// Causal grouped-query attention over a paged cache, the rows of many sequences at once.
///
/// Arithmetic, for a query q (one row, one head) at position p, in f32 whatever the storage:
///   keys are walked in blocks of kAttentionKeyBlock at absolute multiples of it, ascending; a
///   block is [b0, min(b0 + kAttentionKeyBlock, p + 1)). Within a block
///     s_j = fma chain over d ascending of q[d] * k_j[d], times scale
///     m_b = max s_j,  p_j = Exp(s_j - m_b)                      (p is not rounded)
///     l_b = 16-lane sum of p_j,  o_b[v] = fma chain over j ascending of p_j * v_j[v]
///   blocks merge in ascending order, the first being (m, l, o) = (m_0, l_0, o_0):
///     m' = max(m, m_b), a = Exp(m - m'), c = Exp(m_b - m')
///     l = fma(l_b, c, l * a),  o = fma(o_b, c, o * a)
///   out = o * (1 / l), rounded once where the output is bf16.
/// A block's (m_b, l_b, o_b) depends on nothing but its keys and q, so the bits depend neither on
/// how a prompt was cut nor on the batch, the page size, the threads or the vector width.
struct AttentionGqaArgs {
  /// [rows, heads * head_dim], f32 or bf16; roped.
  base::TensorView query;
  /// Width kv_heads * head_dim, f32 or bf16. Query head h reads key head h / (heads / kv_heads).
  PagedKvView keys;
  /// Width kv_heads * v_dim, the dtype of the keys.
  PagedKvView values;
  PagedBatch batch;
  int heads = 0;
  int kv_heads = 0;
  float scale = 0;
  /// [rows, heads * v_dim], f32 or bf16, overwritten.
  base::TensorView out;
  /// How many work items may run at once; sizes the workspace and changes no bit. Typically the
  /// threads of the pool + 1.
  int parallelism = 1;
};

/// Keys per block of every attention op: a multiple of 16 lanes, small enough that a block's
/// transposed keys of 576 dimensions stay in a 2 MiB second-level cache beside its values.
inline constexpr int kAttentionKeyBlock = 64;

/// Errors: InvalidArgument naming what does not fit; Unimplemented for a device without this op.
absl::Status CanRun(const AttentionGqaArgs& args);
/// Bytes of scratch memory Launch needs. Requires: CanRun(args) is OK.
std::size_t WorkspaceBytes(const AttentionGqaArgs& args);
/// Enqueues the op. workspace: u8 [≥ WorkspaceBytes(args)], 64-byte aligned, used until the stream
/// has passed. Errors: those of CanRun; ResourceExhausted when the workspace is too small.
absl::Status Launch(const AttentionGqaArgs& args, base::TensorView workspace, base::Stream& stream);

/// The same arithmetic by plain loops over host memory, for tests. Requires: CanRun(args) is OK.
void AttentionGqaReference(const AttentionGqaArgs& args);

}  // namespace moesaic::kernels
