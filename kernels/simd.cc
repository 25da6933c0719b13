#include "kernels/simd.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "kernels/int8_tile.h"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/highway.h"

namespace moesaic::kernels {
namespace {

struct Target {
  std::string_view name;
  std::int64_t bit;
};

/// What this stands for is AVX-512 with VNNI, which Highway has no target for.
constexpr std::string_view kVnni = "avx512_vnni";

// Best first.
constexpr Target kTargets[] = {
    {kVnni, 0},         {"avx512", HWY_AVX3 | HWY_AVX3_DL},  {"avx2", HWY_AVX2},
    {"neon", HWY_NEON}, {"scalar", HWY_SCALAR | HWY_EMU128},
};

/// Targets that dispatch may choose now. Highway's query resets its dispatch to every target the
/// CPU has, ignoring DisableTargets, and leaves it to the caller to set it right again.
std::int64_t EnabledTargets() {
  const std::int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(targets);
  return targets & HWY_TARGETS;
}

}  // namespace

std::vector<std::string> SupportedSimdTargets() {
  std::vector<std::string> names;
  const std::int64_t enabled = EnabledTargets();
  if ((enabled & HWY_AVX3) != 0 && VnniInt8Tiles() != nullptr) names.emplace_back(kVnni);
  for (const Target& target : kTargets) {
    if ((enabled & target.bit) != 0) names.emplace_back(target.name);
  }
  return names;
}

std::string ActiveSimdTarget() { return SupportedSimdTargets().front(); }

absl::Status SetMaxSimdTarget(std::string_view name) {
  std::int64_t disabled = 0;
  bool found = name.empty() || name == "auto";
  const bool vnni = found || name == kVnni;
  for (const Target& target : kTargets) {
    if (found || target.name == name) {
      found = true;
      break;
    }
    disabled |= target.bit;
  }
  if (!found) {
    return absl::InvalidArgumentError(
        absl::StrCat("SIMD target '", base::ToAbsl(name),
                     "' is none of: auto, avx512_vnni, avx512, avx2, neon, scalar"));
  }
  AllowVnni(vnni);
  hwy::DisableTargets(disabled);
  EnabledTargets();
  return absl::OkStatus();
}

}  // namespace moesaic::kernels
