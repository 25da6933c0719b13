#include "kernels/simd.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "kernels/bf16_tile.h"
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

/// AVX-512 with further instructions, which Highway has no targets for. CPUs with BF16 have VNNI.
constexpr std::string_view kBf16 = "avx512_bf16";
constexpr std::string_view kVnni = "avx512_vnni";

// Best first.
constexpr Target kTargets[] = {
    {kBf16, 0},         {kVnni, 0},         {"avx512", HWY_AVX3 | HWY_AVX3_DL},
    {"avx2", HWY_AVX2}, {"neon", HWY_NEON}, {"scalar", HWY_SCALAR | HWY_EMU128},
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
  const bool avx512 = (enabled & HWY_AVX3) != 0;
  if (avx512 && AllowsBf16Dot()) names.emplace_back(kBf16);
  if (avx512 && VnniInt8Tiles() != nullptr) names.emplace_back(kVnni);
  for (const Target& target : kTargets) {
    if ((enabled & target.bit) != 0) names.emplace_back(target.name);
  }
  return names;
}

std::string ActiveSimdTarget() {
  const std::vector<std::string> names = SupportedSimdTargets();
  return names.front() == kBf16 && Bf16DotTiles() == nullptr ? names[1] : names.front();
}

absl::Status SetMaxSimdTarget(std::string_view name) {
  std::int64_t disabled = 0;
  const bool all = name.empty() || name == "auto";
  bool found = all;
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
                     "' is none of: auto, avx512_bf16, avx512_vnni, avx512, avx2, neon, scalar"));
  }
  const bool bf16 = name == kBf16;
  UseBf16Dot(all ? Bf16Dot::kWhereFaster : bf16 ? Bf16Dot::kAlways : Bf16Dot::kNever);
  AllowVnni(all || bf16 || name == kVnni);
  hwy::DisableTargets(disabled);
  EnabledTargets();
  return absl::OkStatus();
}

}  // namespace moesaic::kernels
