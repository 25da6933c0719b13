#include "router/engine/renormalize.h"

#include <algorithm>
#include <cmath>

namespace moesaic::router {
namespace {

/// What the slots that answered are multiplied by; 0 when nothing can make up for the others.
/// skipped: those of the token.
float ScaleOf(const ExpertCall& call, int unit_size, std::int32_t token,
              absl::Span<const std::int32_t> skipped) {
  float all = 0;
  float answered = 0;
  std::int32_t slot = call.slot_offsets[token] - 1;
  std::int32_t last_unit = -1;
  for (int i = token * call.top_k; i < (token + 1) * call.top_k; ++i) {
    const std::int32_t expert = call.expert_ids[i];
    if (expert < 0) continue;
    if (expert / unit_size != last_unit) ++slot;
    last_unit = expert / unit_size;
    all += call.weights[i];
    if (!std::binary_search(skipped.begin(), skipped.end(), slot)) answered += call.weights[i];
  }
  const float scale = all / answered;
  return answered > 0 && std::isfinite(scale) ? scale : 0;
}

void ScaleToken(const ExpertCall& call, int unit_size, std::int32_t token,
                absl::Span<const std::int32_t> skipped) {
  const float scale = ScaleOf(call, unit_size, token, skipped);
  auto* slots = call.slots.As<float>();
  for (std::int32_t slot = call.slot_offsets[token]; slot < call.slot_offsets[token + 1]; ++slot) {
    float* row = slots + std::int64_t{slot} * call.hidden_size;
    if (scale == 0 || std::binary_search(skipped.begin(), skipped.end(), slot)) {
      std::fill_n(row, call.hidden_size, 0.0f);  // may hold anything: no product
    } else {
      std::transform(row, row + call.hidden_size, row, [scale](float x) { return scale * x; });
    }
  }
}

}  // namespace

std::int32_t TokenOfSlot(absl::Span<const std::int32_t> slot_offsets, std::int32_t slot) {
  const auto after = std::upper_bound(slot_offsets.begin(), slot_offsets.end(), slot);
  return static_cast<std::int32_t>(after - slot_offsets.begin()) - 1;
}

void RenormalizeSkipped(const ExpertCall& call, int unit_size,
                        absl::Span<const std::int32_t> skipped) {
  while (!skipped.empty()) {
    const std::int32_t token = TokenOfSlot(call.slot_offsets, skipped.front());
    const auto end = std::lower_bound(skipped.begin(), skipped.end(), call.slot_offsets[token + 1]);
    const std::size_t count = end - skipped.begin();
    ScaleToken(call, unit_size, token, skipped.first(count));
    skipped.remove_prefix(count);
  }
}

}  // namespace moesaic::router
