#pragma once

#include "base/compute_pool.h"
#include "base/status_macros.h"
#include "base/stream.h"
#include "kernels/attention_gqa.h"
#include "kernels/attention_mla.h"
#include "kernels/elementwise.h"
#include "kernels/expert_ffn.h"
#include "kernels/gating.h"
#include "kernels/kv_cache.h"
#include "kernels/linear.h"
#include "kernels/log_softmax.h"
#include "kernels/rms_norm.h"
#include "kernels/rope.h"

/// What each device's files (`*_cpu.cc`, `*_cuda.cu`) implement: checked arguments in, work done or
/// enqueued. Only the `op.cc` files call these.
namespace moesaic::kernels {

namespace cpu {
void Run(const LinearArgs& args, base::ComputePool& pool);
void Run(const RmsNormArgs& args, base::ComputePool& pool);
void Run(const RopeArgs& args, base::ComputePool& pool);
void Run(const CastArgs& args, base::ComputePool& pool);
void Run(const AddArgs& args, base::ComputePool& pool);
void Run(const SiluMulArgs& args, base::ComputePool& pool);
void Run(const CombineArgs& args, base::ComputePool& pool);
void Run(const EmbeddingArgs& args, base::ComputePool& pool);
void Run(const ClipArgs& args, base::ComputePool& pool);
void Run(const ExpertFfnArgs& args, base::TensorView workspace, base::ComputePool& pool);
void Run(const KvWriteArgs& args, base::ComputePool& pool);
void Run(const GatingArgs& args, base::ComputePool& pool);
void Run(const LogSoftmaxArgs& args, base::ComputePool& pool);
void Run(const AttentionGqaArgs& args, base::TensorView workspace, base::ComputePool& pool);
std::size_t WorkspaceBytes(const AttentionGqaArgs& args);
void Run(const AttentionMlaArgs& args, base::TensorView workspace, base::ComputePool& pool);
std::size_t WorkspaceBytes(const AttentionMlaArgs& args);
}  // namespace cpu

/// Runs an op without workspace after what the host stream holds.
template <class Args>
absl::Status LaunchOnCpu(const Args& args, base::Stream& stream) {
  if (stream.device().kind != base::DeviceKind::kCpu) {
    return absl::UnimplementedError("kernels: no kernel of this op for the stream's device");
  }
  static_cast<base::CpuStream&>(stream).Enqueue(
      [args](base::ComputePool& pool) { cpu::Run(args, pool); });
  return absl::OkStatus();
}

/// The same for an op that needs `bytes` of workspace, u8, aligned to a vector.
template <class Args>
absl::Status LaunchOnCpu(const Args& args, base::TensorView workspace, std::size_t bytes,
                         base::Stream& stream) {
  if (stream.device().kind != base::DeviceKind::kCpu) {
    return absl::UnimplementedError("kernels: no kernel of this op for the stream's device");
  }
  constexpr std::uintptr_t kAlignment = 64;
  if (bytes > 0 && (workspace.data == nullptr || workspace.bytes() < bytes ||
                    reinterpret_cast<std::uintptr_t>(workspace.data) % kAlignment != 0)) {
    return absl::ResourceExhaustedError("kernels: the workspace is too small or misaligned");
  }
  static_cast<base::CpuStream&>(stream).Enqueue(
      [args, workspace](base::ComputePool& pool) { cpu::Run(args, workspace, pool); });
  return absl::OkStatus();
}

}  // namespace moesaic::kernels
