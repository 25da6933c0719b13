#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "kernels/backends.h"
#include "kernels/parallel_slots.h"
#include "kernels/workspace_arena.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_mla_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/attention_mla_absorbed-inl.h"
#include "kernels/attention_mla_naive-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

/// Workspace: what the absorbed phases share, then a slot per worker that serves either form.
struct MlaWorkspace {
  AbsorbedShared shared;
  std::int64_t slot_bytes = 0;
  std::byte* slots = nullptr;

  static MlaWorkspace Take(const AttentionMlaArgs& args, WorkspaceArena& arena) {
    WorkspaceArena naive;
    NaiveScratch::Take(args, naive);
    WorkspaceArena absorbed;
    AbsorbedScratch::Take(args, absorbed);
    MlaWorkspace workspace;
    workspace.slot_bytes = static_cast<std::int64_t>(std::max(naive.bytes(), absorbed.bytes()));
    workspace.shared = AbsorbedShared::Take(args, arena);
    workspace.slots = arena.Take<std::byte>(args.parallelism * workspace.slot_bytes);
    return workspace;
  }
  std::byte* slot(std::int64_t i) const { return slots + i * slot_bytes; }
};

std::size_t MlaWorkspaceBytes(const AttentionMlaArgs& args) {
  WorkspaceArena arena;
  MlaWorkspace::Take(args, arena);
  return arena.bytes();
}

void RunNaive(const AttentionMlaArgs& args, const MlaWorkspace& workspace,
              base::ComputePool& pool) {
  ParallelForSlots(pool, args.parallelism, CountNaiveItems(args),
                   [&](std::int64_t slot, std::int64_t item)
                       HWY_ATTR { RunNaiveItem(args, item, workspace.slot(slot)); });
}

/// The three phases for `count` ≤ kAbsorbedRows rows.
void RunAbsorbedRows(const AttentionMlaArgs& args, const MlaWorkspace& workspace,
                     const AbsorbedRow* rows, std::int64_t count, base::ComputePool& pool) {
  const std::int64_t heads = args.shape.heads;
  const AbsorbedShared& shared = workspace.shared;
  ParallelForSlots(pool, args.parallelism, heads,
                   [&](std::int64_t slot, std::int64_t head) HWY_ATTR {
                     AbsorbHead(args, shared, rows, count, head, workspace.slot(slot));
                   });
  const std::int64_t step = HeadsPerItem(args, count);
  const std::int64_t groups = (heads + step - 1) / step;
  ParallelForSlots(pool, args.parallelism, count * groups,
                   [&](std::int64_t slot, std::int64_t item) HWY_ATTR {
                     const std::int64_t i = item / groups;
                     const std::int64_t begin = item % groups * step;
                     AttendLatent(args, shared, rows[i], i, begin, std::min(begin + step, heads),
                                  workspace.slot(slot));
                   });
  ParallelForSlots(pool, args.parallelism, heads,
                   [&](std::int64_t slot, std::int64_t head) HWY_ATTR {
                     ProjectHead(args, shared, rows, count, head, workspace.slot(slot));
                   });
}

void RunMla(const AttentionMlaArgs& args, std::byte* memory, base::ComputePool& pool) {
  WorkspaceArena arena(memory);
  const MlaWorkspace workspace = MlaWorkspace::Take(args, arena);
  RunNaive(args, workspace, pool);
  const std::int64_t absorbed = ListAbsorbedRows(args, workspace.shared);
  for (std::int64_t first = 0; first < absorbed; first += kAbsorbedRows) {
    RunAbsorbedRows(args, workspace, workspace.shared.rows + first,
                    std::min(kAbsorbedRows, absorbed - first), pool);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {

HWY_EXPORT(RunMla);

std::size_t cpu::WorkspaceBytes(const AttentionMlaArgs& args) {
  return HWY_STATIC_DISPATCH(MlaWorkspaceBytes)(args);
}

void cpu::Run(const AttentionMlaArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  HWY_DYNAMIC_DISPATCH(RunMla)(args, workspace.As<std::byte>(), pool);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
