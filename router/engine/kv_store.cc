#include "router/engine/kv_store.h"

#include <algorithm>
#include <limits>

#include "base/status_macros.h"

namespace moesaic::router {
namespace {

/// Elements of a layer's first tensor per token: keys, or latent rows.
std::int64_t KeyWidth(const model::AttentionConfig& attention) {
  return attention.kind == model::AttentionKind::kMla
             ? attention.kv_lora_rank + attention.qk_rope_head_dim
             : attention.KvDim();
}

/// Elements of a layer's second tensor per token.
std::int64_t ValueWidth(const model::AttentionConfig& attention) {
  return attention.kind == model::AttentionKind::kMla ? 0 : attention.KvDim();
}

}  // namespace

std::size_t KvBytesPerToken(const model::ModelConfig& config, base::DType dtype) {
  return std::size_t(config.num_layers) *
         (KeyWidth(config.attention) + ValueWidth(config.attention)) * DTypeBytes(dtype);
}

std::int32_t KvBlocksFor(const model::ModelConfig& config, base::DType dtype, int block_tokens,
                         std::size_t cache_bytes) {
  const std::size_t blocks = cache_bytes / (KvBytesPerToken(config, dtype) * block_tokens);
  // Slots (block * block_tokens + offset) are 32-bit.
  const std::size_t most = std::numeric_limits<std::int32_t>::max() / block_tokens;
  return static_cast<std::int32_t>(std::min(blocks, most));
}

absl::StatusOr<KvStore> KvStore::Create(const model::ModelConfig& config, base::DType dtype,
                                        std::int32_t blocks, int block_tokens) {
  KvStore store;
  store.blocks_ = blocks;
  store.block_tokens_ = block_tokens;
  const auto add = [&](std::vector<Pages>& to, std::int64_t width) -> absl::Status {
    const std::int64_t dims[] = {blocks, block_tokens, width};
    MOESAIC_ASSIGN_OR_RETURN(
        base::Buffer memory,
        base::Buffer::Allocate(base::TensorView(nullptr, dtype, dims).bytes()));
    const base::TensorView view = memory.View(dtype, dims);
    to.push_back({std::move(memory), view});
    return absl::OkStatus();
  };
  for (int layer = 0; layer < config.num_layers; ++layer) {
    MOESAIC_RETURN_IF_ERROR(add(store.keys_, KeyWidth(config.attention)));
    if (const std::int64_t width = ValueWidth(config.attention); width > 0) {
      MOESAIC_RETURN_IF_ERROR(add(store.values_, width));
    }
  }
  return store;
}

}  // namespace moesaic::router
