#pragma once

namespace moesaic::kernels {

/// Version of the arithmetic defined by the headers of this folder. Raise it with any change that
/// can alter a bit of a result: processes of different versions must not compute one model together
/// (it is part of the numerics id).
inline constexpr int kKernelContractVersion = 2;

}  // namespace moesaic::kernels
