#pragma once

#include <cstdint>

#include "kernels/x86_intrinsics.h"

namespace moesaic::kernels {

/// While it lives and was made with `active`, f32 arithmetic of this thread takes subnormal
/// operands as zeros and rounds subnormal results to zeros, both of the same sign: what bf16
/// dot-product instructions do always. Arithmetic under it belongs into a function of its own that
/// is not inlined, or the compiler may move it past the change.
class FlushSubnormals {
 public:
  explicit FlushSubnormals(bool active) : active_(active) {
    if (!active_) return;
    saved_ = Get();
    Set(saved_ | kFlush);
  }
  ~FlushSubnormals() {
    if (active_) Set(saved_);
  }
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;

 private:
#if HWY_ARCH_X86
  /// MXCSR: results (15) and operands (6).
  static constexpr std::uint64_t kFlush = 0x8040;
  static std::uint64_t Get() { return _mm_getcsr(); }
  static void Set(std::uint64_t mode) { _mm_setcsr(static_cast<unsigned>(mode)); }
#elif HWY_ARCH_ARM_A64
  /// FPCR: both.
  static constexpr std::uint64_t kFlush = std::uint64_t{1} << 24;
  static std::uint64_t Get() {
    std::uint64_t mode;
    asm volatile("mrs %0, fpcr" : "=r"(mode));
    return mode;
  }
  static void Set(std::uint64_t mode) { asm volatile("msr fpcr, %0" : : "r"(mode)); }
#else
#error "How does this processor flush subnormal numbers?"
#endif

  const bool active_;
  std::uint64_t saved_ = 0;
};

}  // namespace moesaic::kernels
