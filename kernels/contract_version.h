#pragma once

namespace moesaic::kernels {

/// Raised whenever a kernel may give other bits for the same inputs than it did before. Part of the
/// numerics id: processes with different versions do not compute one model together.
inline constexpr int kKernelContractVersion = 1;

}  // namespace moesaic::kernels
