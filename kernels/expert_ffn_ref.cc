#include <cmath>
#include <cstdint>
#include <vector>

#include "kernels/expert_ffn.h"
#include "kernels/expert_ffn_plan.h"
#include "kernels/reference.h"
#include "kernels/simd_math.h"

namespace moesaic::kernels {

void ExpertFfnReference(const ExpertFfnArgs& args) {
  const std::int64_t hidden = args.x.dim(1);
  const std::int64_t inter = ExpertFfnInter(args);
  const bool bf16 = args.x.dtype == base::DType::kBF16;
  std::vector<float> h(inter);
  for (const ExpertGroup& group : args.groups) {
    for (const ExpertEntry& entry : group.entries) {
      const auto x = [&](std::int64_t k) {
        return reference::Load(args.x, entry.row * hidden + k);
      };
      for (std::int64_t i = 0; i < inter; ++i) {
        const float gate = reference::MatmulOutput(*group.gate_up, i, args.x.dtype, x);
        const float up = reference::MatmulOutput(*group.gate_up, inter + i, args.x.dtype, x);
        h[i] = Silu(gate) * up;
        if (bf16) h[i] = base::RoundToBF16(h[i]);
      }
      float* y = args.y.As<float>() + entry.slot * hidden;
      for (std::int64_t n = 0; n < hidden; ++n) {
        const float down = reference::MatmulOutput(*group.down, n, args.x.dtype,
                                                   [&](std::int64_t k) { return h[k]; });
        y[n] = entry.first ? entry.weight * down : std::fmaf(entry.weight, down, y[n]);
      }
    }
  }
}

}  // namespace moesaic::kernels
