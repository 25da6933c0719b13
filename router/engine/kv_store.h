#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "base/tensor.h"
#include "kernels/kv_cache.h"
#include "model/config.h"

namespace moesaic::router {

/// Bytes of KV cache per token, all layers together.
std::size_t KvBytesPerToken(const model::ModelConfig& config, base::DType dtype);

/// Blocks that fit into `cache_bytes`.
std::int32_t KvBlocksFor(const model::ModelConfig& config, base::DType dtype, int block_tokens,
                         std::size_t cache_bytes);

/// The memory of the paged KV cache: per layer the keys and the values (grouped-query attention),
/// or the latent rows alone (multi-head latent attention). Owns it; the content changes by ops on
/// the stream only.
class KvStore {
 public:
  /// Errors: ResourceExhausted naming the size.
  static absl::StatusOr<KvStore> Create(const model::ModelConfig& config, base::DType dtype,
                                        std::int32_t blocks, int block_tokens);

  int block_tokens() const { return block_tokens_; }
  std::int32_t blocks() const { return blocks_; }
  /// [blocks, block_tokens, kv_heads * head_dim], or [.., kv_lora + rope] under MLA.
  kernels::PagedKvView keys(std::size_t layer) const { return {keys_[layer].view}; }
  /// [blocks, block_tokens, kv_heads * head_dim]. Requires: GQA.
  kernels::PagedKvView values(std::size_t layer) const { return {values_[layer].view}; }

 private:
  struct Pages {
    base::Buffer memory;
    base::TensorView view;
  };
  std::int32_t blocks_ = 0;
  int block_tokens_ = 0;
  std::vector<Pages> keys_;    // by layer
  std::vector<Pages> values_;  // by layer; empty under MLA
};

}  // namespace moesaic::router
