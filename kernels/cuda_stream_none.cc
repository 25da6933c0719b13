// What kernels/cuda_stream.h answers in a build without CUDA.
#include "kernels/cuda_stream.h"

namespace moesaic::kernels {
namespace {

absl::Status NoCuda() { return absl::UnimplementedError("this build has no CUDA backend"); }

}  // namespace

int CudaDeviceCount() { return 0; }

absl::Status EnableCudaMemory() { return NoCuda(); }

absl::StatusOr<std::unique_ptr<CudaStream>> CudaStream::Create(int) { return NoCuda(); }

CudaStream::~CudaStream() = default;

void CudaStream::OnComplete(absl::AnyInvocable<void()> done) { done(); }

}  // namespace moesaic::kernels
