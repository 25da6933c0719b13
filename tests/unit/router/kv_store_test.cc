#include "router/engine/kv_store.h"

#include <gtest/gtest.h>

namespace moesaic::router {
namespace {

model::ModelConfig Config(model::AttentionKind kind) {
  model::ModelConfig config;
  config.num_layers = 3;
  config.attention.kind = kind;
  if (kind == model::AttentionKind::kMla) {
    config.attention.kv_lora_rank = 40;
    config.attention.qk_rope_head_dim = 24;
  } else {
    config.attention.num_kv_heads = 2;
    config.attention.head_dim = 16;
  }
  return config;
}

TEST(KvStoreTest, CountsKeysAndValuesOrTheLatent) {
  EXPECT_EQ(KvBytesPerToken(Config(model::AttentionKind::kGqa), base::DType::kF32),
            3u * (32 + 32) * 4);
  EXPECT_EQ(KvBytesPerToken(Config(model::AttentionKind::kMla), base::DType::kBF16), 3u * 64 * 2);
}

TEST(KvStoreTest, FillsTheBytesWithWholeBlocks) {
  const model::ModelConfig config = Config(model::AttentionKind::kMla);
  const std::size_t block = KvBytesPerToken(config, base::DType::kF32) * 16;
  EXPECT_EQ(KvBlocksFor(config, base::DType::kF32, 16, 5 * block - 1), 4);
  EXPECT_EQ(KvBlocksFor(config, base::DType::kF32, 16, block - 1), 0);
  EXPECT_LE(std::int64_t{KvBlocksFor(config, base::DType::kF32, 16, std::size_t{1} << 60)} * 16,
            std::int64_t{1} << 31);
}

TEST(KvStoreTest, PagesHaveTheModelsWidths) {
  const auto gqa = KvStore::Create(Config(model::AttentionKind::kGqa), base::DType::kBF16, 5, 16);
  ASSERT_TRUE(gqa.ok());
  EXPECT_EQ(gqa->keys(2).blocks(), 5);
  EXPECT_EQ(gqa->keys(2).block_tokens(), 16);
  EXPECT_EQ(gqa->values(2).width(), 32);
  const auto mla = KvStore::Create(Config(model::AttentionKind::kMla), base::DType::kBF16, 5, 16);
  ASSERT_TRUE(mla.ok());
  EXPECT_EQ(mla->keys(0).width(), 64);
}

}  // namespace
}  // namespace moesaic::router
