#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/attention_mla.h"
#include "kernels/attention_reference.h"
#include "kernels/paged_sequence.h"
#include "kernels/reference.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {
namespace {

/// One head of one row.
struct HeadRow {
  const AttentionMlaArgs& args;
  PagedSequence sequence;
  std::int64_t row;
  std::int64_t head;

  float Query(std::int64_t d) const {
    const std::int64_t width = args.shape.nope + args.shape.rope;
    return reference::Load(args.query, (row * args.shape.heads + head) * width + d);
  }
  /// kv_b of this head, widened: rows below `nope` are W_UK, the rest W_UV.
  float Weight(std::int64_t i, std::int64_t k) const {
    const MlaShape& shape = args.shape;
    const std::int64_t n = head * (shape.nope + shape.v_dim) + i;
    const std::int64_t index = n * shape.kv_lora + k;
    if (args.kv_b.dtype != base::DType::kF8E4M3) return reference::Load(args.kv_b, index);
    const std::int64_t blocks = args.kv_b_scales.dim(1);
    return base::F8E4M3ToF32(args.kv_b.As<std::uint8_t>()[index]) *
           args.kv_b_scales.As<float>()[n / kMlaScaleBlock * blocks + k / kMlaScaleBlock];
  }
  float Cached(std::int64_t position, std::int64_t column) const {
    return CachedElement(args.cache, sequence, position, column);
  }
};

/// [position][nope + v_dim]: W_UK and W_UV of one head times the latents of [0, positions).
using Expanded = std::vector<std::vector<float>>;

Expanded Expand(const HeadRow& h, std::int64_t positions) {
  const MlaShape& shape = h.args.shape;
  Expanded expanded(static_cast<std::size_t>(positions));
  for (std::int64_t j = 0; j < positions; ++j) {
    for (std::int64_t i = 0; i < shape.nope + shape.v_dim; ++i) {
      float sum = 0;
      for (std::int64_t k = 0; k < shape.kv_lora; ++k) {
        sum = std::fma(h.Weight(i, k), h.Cached(j, k), sum);
      }
      expanded[static_cast<std::size_t>(j)].push_back(sum);
    }
  }
  return expanded;
}

std::vector<float> Naive(const HeadRow& h, const Expanded& expanded) {
  const MlaShape& shape = h.args.shape;
  ReferenceQuery query;
  for (std::int64_t d = 0; d < shape.nope + shape.rope; ++d) query.query.push_back(h.Query(d));
  query.position = h.sequence.position(h.row);
  query.scale = h.args.scale;
  query.v_dim = shape.v_dim;
  query.key = [&](std::int64_t j, std::int64_t d) {
    if (d < shape.nope) return expanded[static_cast<std::size_t>(j)][static_cast<std::size_t>(d)];
    return h.Cached(j, shape.kv_lora + d - shape.nope);
  };
  query.value = [&](std::int64_t j, std::int64_t v) {
    return expanded[static_cast<std::size_t>(j)][static_cast<std::size_t>(shape.nope + v)];
  };
  return AttendReference(query);
}

std::vector<float> Absorbed(const HeadRow& h) {
  const MlaShape& shape = h.args.shape;
  ReferenceQuery query;
  for (std::int64_t k = 0; k < shape.kv_lora; ++k) {
    float sum = 0;
    for (std::int64_t d = 0; d < shape.nope; ++d) sum = std::fma(h.Query(d), h.Weight(d, k), sum);
    query.query.push_back(sum);
  }
  for (std::int64_t d = 0; d < shape.rope; ++d) query.query.push_back(h.Query(shape.nope + d));
  query.position = h.sequence.position(h.row);
  query.scale = h.args.scale;
  query.v_dim = shape.kv_lora;
  query.key = [&](std::int64_t j, std::int64_t d) { return h.Cached(j, d); };
  query.value = query.key;
  const std::vector<float> context = AttendReference(query);
  std::vector<float> out;
  for (std::int64_t v = 0; v < shape.v_dim; ++v) {
    std::vector<float> weights;
    for (std::int64_t k = 0; k < shape.kv_lora; ++k) weights.push_back(h.Weight(shape.nope + v, k));
    out.push_back(LaneDot(weights.data(), context.data(), shape.kv_lora));
  }
  return out;
}

void AttendHead(const AttentionMlaArgs& args, const PagedSequence& sequence, std::int64_t prompt,
                std::int64_t head) {
  const MlaShape& shape = args.shape;
  const std::int64_t last = sequence.position(sequence.row_end - 1);
  const bool any_naive = sequence.first_position < prompt;
  const Expanded expanded = Expand({args, sequence, sequence.row_begin, head},
                                   any_naive ? std::min(prompt, last + 1) : 0);
  for (std::int64_t row = sequence.row_begin; row < sequence.row_end; ++row) {
    const HeadRow h{args, sequence, row, head};
    const auto out = sequence.position(row) < prompt ? Naive(h, expanded) : Absorbed(h);
    for (std::int64_t v = 0; v < shape.v_dim; ++v) {
      reference::Store(out[static_cast<std::size_t>(v)], args.out,
                       (row * shape.heads + head) * shape.v_dim + v);
    }
  }
}

}  // namespace

void AttentionMlaReference(const AttentionMlaArgs& args) {
  for (std::int64_t s = 0; s < args.batch.sequences(); ++s) {
    const PagedSequence sequence = SequenceAt(args.batch, s);
    if (sequence.rows() == 0) continue;
    const std::int64_t prompt = args.prompt_lengths.As<std::int32_t>()[s];
    for (std::int64_t head = 0; head < args.shape.heads; ++head) {
      AttendHead(args, sequence, prompt, head);
    }
  }
}

}  // namespace moesaic::kernels
