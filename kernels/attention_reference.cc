#include "kernels/attention_reference.h"

#include <algorithm>
#include <cmath>

#include "kernels/attention_gqa.h"
#include "kernels/reference.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {
namespace {

struct Softmax {
  float max = 0;
  float sum = 0;
  std::vector<float> out;
};

Softmax AttendBlock(const ReferenceQuery& q, std::int64_t begin, std::int64_t end) {
  std::vector<float> p;
  for (std::int64_t j = begin; j < end; ++j) {
    float dot = 0;
    for (std::size_t d = 0; d < q.query.size(); ++d) {
      dot = std::fma(q.query[d], q.key(j, static_cast<std::int64_t>(d)), dot);
    }
    p.push_back(dot * q.scale);
  }
  Softmax block;
  block.max = *std::max_element(p.begin(), p.end());
  for (float& x : p) x = Exp(x - block.max);
  block.sum = LaneSum(p.data(), static_cast<long>(p.size()));
  for (std::int64_t v = 0; v < q.v_dim; ++v) {
    float sum = 0;
    for (std::int64_t j = begin; j < end; ++j) {
      sum = std::fma(p[static_cast<std::size_t>(j - begin)], q.value(j, v), sum);
    }
    block.out.push_back(sum);
  }
  return block;
}

void Merge(Softmax& all, const Softmax& block) {
  const float max = std::max(all.max, block.max);
  const float keep = Exp(all.max - max);
  const float add = Exp(block.max - max);
  all.max = max;
  all.sum = std::fma(block.sum, add, all.sum * keep);
  for (std::size_t v = 0; v < all.out.size(); ++v) {
    all.out[v] = std::fma(block.out[v], add, all.out[v] * keep);
  }
}

}  // namespace

float CachedElement(const PagedKvView& cache, const PagedSequence& sequence, std::int64_t position,
                    std::int64_t column) {
  const std::int64_t tokens = cache.block_tokens();
  const std::int64_t slot = sequence.block_table[position / tokens] * tokens + position % tokens;
  return reference::Load(cache.pages, slot * cache.width() + column);
}

std::vector<float> AttendReference(const ReferenceQuery& query) {
  Softmax all;
  for (std::int64_t begin = 0; begin <= query.position; begin += kAttentionKeyBlock) {
    const std::int64_t end = std::min(begin + kAttentionKeyBlock, query.position + 1);
    Softmax block = AttendBlock(query, begin, end);
    if (begin == 0) {
      all = std::move(block);
    } else {
      Merge(all, block);
    }
  }
  const float inverse = 1.0f / all.sum;
  for (float& v : all.out) v *= inverse;
  return std::move(all.out);
}

}  // namespace moesaic::kernels
