#include "kernels/simd.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/highway.h"

namespace moesaic::kernels {
namespace {

struct Target {
  std::string_view name;
  std::int64_t bit;
};

// Best first.
constexpr Target kTargets[] = {
    {"avx512", HWY_AVX3},
    {"avx2", HWY_AVX2},
    {"neon", HWY_NEON},
    {"scalar", HWY_STATIC_TARGET},
};

bool Usable(const Target& target) {
  return (hwy::SupportedTargets() & HWY_TARGETS & target.bit) != 0;
}

}  // namespace

std::vector<std::string> SupportedSimdTargets() {
  std::vector<std::string> names;
  for (const Target& target : kTargets) {
    if (target.bit != HWY_STATIC_TARGET || target.name == "scalar") {
      if (Usable(target)) names.emplace_back(target.name);
    } else {
      names.emplace_back(target.name);
      break;  // the build's baseline is better than the fallback, which is not compiled then
    }
  }
  return names;
}

std::string_view ActiveSimdTarget() {
  for (const Target& target : kTargets) {
    if (Usable(target)) return target.name;
  }
  return "scalar";
}

absl::Status SetMaxSimdTarget(std::string_view name) {
  std::int64_t disabled = 0;
  bool found = name.empty() || name == "auto";
  for (const Target& target : kTargets) {
    if (found || target.name == name) {
      found = true;
      break;
    }
    disabled |= target.bit;
  }
  if (!found) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SIMD target '", base::ToAbsl(name), "' is none of: auto, avx512, avx2, neon, scalar"));
  }
  hwy::DisableTargets(disabled);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return absl::OkStatus();
}

}  // namespace moesaic::kernels
