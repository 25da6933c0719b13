#include "kernels/expert_ffn.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/args_check.h"
#include "kernels/backends.h"
#include "kernels/expert_ffn_plan.h"

namespace moesaic::kernels {
namespace {

absl::Status Invalid(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("expert_ffn: ", what));
}

absl::Status CheckWeights(const ExpertGroup& group, std::int64_t hidden, std::int64_t inter,
                          base::Device device) {
  if (group.gate_up == nullptr || group.down == nullptr) return Invalid("a group without weights");
  if (group.gate_up->k() != hidden || group.gate_up->n() != 2 * inter || group.down->k() != inter ||
      group.down->n() != hidden) {
    return Invalid(absl::StrCat("weights [", group.gate_up->n(), ", ", group.gate_up->k(),
                                "] and [", group.down->n(), ", ", group.down->k(), "] for hidden ",
                                hidden, ", inner ", inter));
  }
  if (group.gate_up->device() != device || group.down->device() != device) {
    return Invalid("weights on another device than the rows");
  }
  if (device.kind != base::DeviceKind::kCpu &&
      (group.gate_up->storage() == base::DType::kI8 || group.down->storage() == base::DType::kI8)) {
    return absl::UnimplementedError(
        "expert_ffn: weights are i8, which has a kernel for the CPU only");
  }
  return absl::OkStatus();
}

/// Every slot is opened by its first entry and by no other, and no group names a slot twice.
absl::Status CheckEntries(const ExpertFfnArgs& args) {
  constexpr std::int32_t kClosed = -1;
  std::vector<std::int32_t> last_group(args.y.dim(0), kClosed);
  for (std::size_t g = 0; g < args.groups.size(); ++g) {
    for (const ExpertEntry& entry : args.groups[g].entries) {
      if (entry.row < 0 || entry.row >= args.x.dim(0)) return Invalid("a row out of range");
      if (entry.slot < 0 || entry.slot >= args.y.dim(0)) return Invalid("a slot out of range");
      std::int32_t& last = last_group[entry.slot];
      if (entry.first != (last == kClosed)) {
        return Invalid("a slot is not opened by exactly its first entry");
      }
      if (last == static_cast<std::int32_t>(g)) return Invalid("a group names a slot twice");
      last = static_cast<std::int32_t>(g);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CanRun(const ExpertFfnArgs& args) {
  using base::DType;
  const std::int64_t hidden = args.x.dim(1);
  MOESAIC_RETURN_IF_ERROR(
      ArgsCheck("expert_ffn", KernelDevices::kCpuAndCuda)
          .Tensor("x", args.x, {DType::kF32, DType::kBF16}, {ArgsCheck::kAny, hidden})
          .Tensor("y", args.y, {DType::kF32}, {ArgsCheck::kAny, hidden})
          .status());
  for (const ExpertGroup& group : args.groups) {
    MOESAIC_RETURN_IF_ERROR(CheckWeights(group, hidden, ExpertFfnInter(args), args.x.device));
  }
  return CheckEntries(args);
}

std::size_t ExpertFfnWorkspaceBytes(std::int64_t rows, std::int64_t hidden, std::int64_t entries,
                                    std::int64_t inter) {
  return ExpertFfnLayout(rows, hidden, entries, inter).bytes;
}

std::size_t WorkspaceBytes(const ExpertFfnArgs& args) {
  return ExpertFfnWorkspaceBytes(args.x.dim(0), args.x.dim(1), ExpertFfnEntries(args),
                                 ExpertFfnInter(args));
}

absl::Status Launch(const ExpertFfnArgs& args, base::TensorView workspace, base::Stream& stream) {
  MOESAIC_RETURN_IF_ERROR(CanRun(args));
  MOESAIC_RETURN_IF_ERROR(CheckStream(args.y.device, stream));
#ifdef MOESAIC_HAVE_CUDA
  if (args.y.device.kind == base::DeviceKind::kCuda) {
    MOESAIC_RETURN_IF_ERROR(CheckWorkspace(workspace, WorkspaceBytes(args), args.y.device));
    return cuda::Run(args, workspace, static_cast<CudaStream&>(stream));
  }
#endif
  return LaunchOnCpu(args, workspace, WorkspaceBytes(args), stream);
}

}  // namespace moesaic::kernels
