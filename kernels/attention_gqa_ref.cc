#include <cstdint>

#include "kernels/attention_gqa.h"
#include "kernels/attention_reference.h"
#include "kernels/paged_sequence.h"
#include "kernels/reference.h"

namespace moesaic::kernels {
namespace {

void AttendHead(const AttentionGqaArgs& args, const PagedSequence& sequence, std::int64_t row,
                std::int64_t head) {
  const std::int64_t head_dim = args.query.dim(1) / args.heads;
  const std::int64_t v_dim = args.out.dim(1) / args.heads;
  const std::int64_t kv_head = head / (args.heads / args.kv_heads);
  ReferenceQuery query;
  for (std::int64_t d = 0; d < head_dim; ++d) {
    query.query.push_back(reference::Load(args.query, (row * args.heads + head) * head_dim + d));
  }
  query.position = sequence.position(row);
  query.scale = args.scale;
  query.v_dim = v_dim;
  query.key = [&](std::int64_t j, std::int64_t d) {
    return CachedElement(args.keys, sequence, j, kv_head * head_dim + d);
  };
  query.value = [&](std::int64_t j, std::int64_t v) {
    return CachedElement(args.values, sequence, j, kv_head * v_dim + v);
  };
  const std::vector<float> out = AttendReference(query);
  for (std::int64_t v = 0; v < v_dim; ++v) {
    reference::Store(out[static_cast<std::size_t>(v)], args.out,
                     (row * args.heads + head) * v_dim + v);
  }
}

}  // namespace

void AttentionGqaReference(const AttentionGqaArgs& args) {
  for (std::int64_t s = 0; s < args.batch.sequences(); ++s) {
    const PagedSequence sequence = SequenceAt(args.batch, s);
    for (std::int64_t row = sequence.row_begin; row < sequence.row_end; ++row) {
      for (std::int64_t head = 0; head < args.heads; ++head) {
        AttendHead(args, sequence, row, head);
      }
    }
  }
}

}  // namespace moesaic::kernels
