#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

namespace moesaic::kernels {

/// Names of the instruction sets that this build has code for, this CPU can run and the limit below
/// allows, best first: "avx512_vnni" (for int8 weights), "avx512", "avx2", "neon", "scalar". Every
/// kernel gives the same bits on each of them; "scalar" stands in on a CPU without fused
/// multiply-add and is slow.
std::vector<std::string> SupportedSimdTargets();

/// The instruction set that kernels use now: the first of those, but "avx512_bf16" only where it
/// was asked for by name or measured to be faster than f32 multiply-adds.
std::string ActiveSimdTarget();

/// Makes kernels use `name` or, where the CPU lacks it, the best one below it. An empty name or
/// "auto" lifts the limit. Process-wide, since Highway's dispatch tables are: call it at start-up
/// or between launches, never beside one. Errors: InvalidArgument for an unknown name.
absl::Status SetMaxSimdTarget(std::string_view name);

}  // namespace moesaic::kernels
