#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "kernels/attention_gqa.h"
#include "kernels/kv_cache.h"

namespace moesaic::kernels {

/// Rows and columns of kv_b that share an fp8 scale, as in the checkpoints.
inline constexpr std::int64_t kMlaScaleBlock = 128;

/// Sizes of multi-head latent attention (DeepSeek-V2 paper, section 2.1).
struct MlaShape {
  int heads = 0;
  int kv_lora = 0;
  int nope = 0;  ///< dimensions of q and k without rotary embedding, per head
  int rope = 0;  ///< dimensions with it; the key part is shared by all heads
  int v_dim = 0;
};

/// Causal multi-head latent attention over a paged cache of [c | k_rope] rows.
///
/// With kv_b viewed [heads, nope + v_dim, kv_lora], W_UK = its first `nope` rows of a head, W_UV =
/// the rest. A row at position p < prompt_lengths[s] is computed in the naive form, a later one in
/// the absorbed form, whatever chunk or recomputation it arrives in:
///   naive     k_j = [fma chain over kv_lora of W_UK c_j | k_rope_j], v_j = fma chain of W_UV c_j
///   absorbed  q~ = fma chain over nope of q_nope W_UK, attention of [q~ | q_rope] over the cache
///             rows themselves with v_j = c_j, giving ctx; o[v] = 16-lane dot of W_UV[v] and ctx
/// and in between the block arithmetic of AttentionGqaArgs. Under bf16 only what is stored (query,
/// cache, kv_b, out) is bf16; everything computed inside stays f32 and unrounded: expanded keys and
/// values, q~, scores, p, ctx.
struct AttentionMlaArgs {
  MlaShape shape;
  /// [rows, heads * (nope + rope)], f32 or bf16; per head [nope | rope], the rope part roped.
  base::TensorView query;
  /// Width kv_lora + rope, f32 or bf16; c normed, k_rope roped.
  PagedKvView cache;
  /// [heads * (nope + v_dim), kv_lora], row-major, f32, bf16 or fp8 e4m3.
  base::TensorView kv_b;
  /// Only with an fp8 kv_b: f32 [ceil(N / 128), ceil(K / 128)]; weight = fp8 * scale.
  base::TensorView kv_b_scales;
  PagedBatch batch;
  /// i32 [sequences]: rows at positions below it use the naive form.
  base::TensorView prompt_lengths;
  float scale = 0;
  /// [rows, heads * v_dim], f32 or bf16, overwritten.
  base::TensorView out;
  /// How many work items may run at once; sizes the workspace and changes no bit.
  int parallelism = 1;
};

/// Errors: InvalidArgument naming what does not fit; Unimplemented for a device without this op.
absl::Status CanRun(const AttentionMlaArgs& args);
/// Bytes of scratch memory Launch needs: bounded whatever the context length, since keys are
/// expanded block by block. Requires: CanRun(args) is OK.
std::size_t WorkspaceBytes(const AttentionMlaArgs& args);
/// Enqueues the op. workspace: u8 [≥ WorkspaceBytes(args)], 64-byte aligned, used until the stream
/// has passed. Errors: those of CanRun; ResourceExhausted when the workspace is too small.
absl::Status Launch(const AttentionMlaArgs& args, base::TensorView workspace, base::Stream& stream);

/// The same arithmetic by plain loops over host memory, for tests. Requires: CanRun(args) is OK.
void AttentionMlaReference(const AttentionMlaArgs& args);

}  // namespace moesaic::kernels
