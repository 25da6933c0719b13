#pragma once

#include "base/compute_pool.h"
#include "base/status_macros.h"
#include "base/stream.h"
#include "kernels/attention_gqa.h"
#include "kernels/attention_mla.h"
#include "kernels/cuda_stream.h"
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
void Run(const LinearArgs& args, base::TensorView workspace, base::ComputePool& pool);
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

#ifdef MOESAIC_HAVE_CUDA
/// These enqueue and answer with the error of the launch, if any.
namespace cuda {
absl::Status Run(const LinearArgs& args, CudaStream& stream);
absl::Status Run(const RmsNormArgs& args, CudaStream& stream);
absl::Status Run(const ExpertFfnArgs& args, base::TensorView workspace, CudaStream& stream);
}  // namespace cuda
#endif

/// InvalidArgument unless the tensors are on the stream's device.
absl::Status CheckStream(base::Device tensors, const base::Stream& stream);
/// ResourceExhausted unless `workspace` holds `bytes` on `device`, aligned to a vector.
absl::Status CheckWorkspace(const base::TensorView& workspace, std::size_t bytes,
                            base::Device device);

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
  MOESAIC_RETURN_IF_ERROR(CheckWorkspace(workspace, bytes, stream.device()));
  static_cast<base::CpuStream&>(stream).Enqueue(
      [args, workspace](base::ComputePool& pool) { cpu::Run(args, workspace, pool); });
  return absl::OkStatus();
}

/// Enqueues an op that has kernels for both kinds of device; `tensors`: where its tensors are.
template <class Args>
absl::Status LaunchOnAny(const Args& args, base::Device tensors, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CheckStream(tensors, stream));
#ifdef MOESAIC_HAVE_CUDA
  if (tensors.kind == base::DeviceKind::kCuda) {
    return cuda::Run(args, static_cast<CudaStream&>(stream));
  }
#endif
  return LaunchOnCpu(args, stream);
}

}  // namespace moesaic::kernels
