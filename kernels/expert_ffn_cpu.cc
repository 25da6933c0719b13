#include <algorithm>
#include <cstdint>
#include <numeric>

#include "kernels/backends.h"
#include "kernels/expert_ffn_plan.h"
#include "kernels/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/expert_ffn_cpu.cc"
#include "kernels/simd_targets.h"
// After simd_targets.h.
#include "hwy/foreach_target.h"
#include "kernels/elementwise-inl.h"
#include "kernels/linear-inl.h"
#include "kernels/linear_int8-inl.h"

HWY_BEFORE_NAMESPACE();
namespace moesaic::kernels {
namespace HWY_NAMESPACE {

inline std::int64_t PanelGroups(const PackedMatrix& w) {
  return (w.panels() + kGroupPanels - 1) / kGroupPanels;
}

/// Calls block(first entry, entries) for the group's entries, kBlockRows at a time.
template <class Block>
HWY_INLINE void ForEachBlock(const ExpertGroup& group, Block block) {
  const auto entries = static_cast<std::int64_t>(group.entries.size());
  for (std::int64_t begin = 0; begin < entries; begin += kBlockRows) {
    block(begin, std::min(kBlockRows, entries - begin));
  }
}

/// T: type of x and h. Phases run one after another; the items of each are independent.
template <class T>
class ExpertFfn {
 public:
  ExpertFfn(const ExpertFfnArgs& args, base::TensorView workspace)
      : args_(args),
        hidden_(args.x.dim(1)),
        inter_(ExpertFfnInter(args)),
        entries_(ExpertFfnEntries(args)),
        memory_(workspace.As<char>()),
        layout_(args.x.dim(0), hidden_, entries_, inter_),
        int8_x_(memory_ + layout_.int8_x, args.x.dim(0), hidden_),
        int8_h_(memory_ + layout_.int8_h, entries_, inter_) {
    active_ = reinterpret_cast<ActiveGroup*>(memory_ + layout_.active);
    gate_up_ = reinterpret_cast<float*>(memory_ + layout_.gate_up);
    h_ = reinterpret_cast<T*>(memory_ + layout_.h);
    std::int64_t first_entry = 0;
    for (const ExpertGroup& group : args.groups) {
      if (group.entries.empty()) continue;
      active_[active_count_++] = {&group, first_entry};
      int8_gate_up_ = int8_gate_up_ || group.gate_up->storage() == base::DType::kI8;
      int8_down_ = int8_down_ || group.down->storage() == base::DType::kI8;
      first_entry += static_cast<std::int64_t>(group.entries.size());
    }
  }

  void Run(base::ComputePool& pool) {
    if (active_count_ == 0) return;
    if (int8_gate_up_) QuantizeRows(args_.x, hidden_, int8_x_, pool);
    const std::int64_t up_groups = PanelGroups(*active_[0].group->gate_up);
    pool.ParallelFor(active_count_ * up_groups, [&](std::int64_t item) HWY_ATTR {
      GateUp(active_[item / up_groups], item % up_groups);
    });
    ParallelRows(pool, entries_, inter_, [&](std::int64_t begin, std::int64_t end) HWY_ATTR {
      for (std::int64_t e = begin; e < end; ++e) {
        SiluMulRow(gate_up_ + e * 2 * inter_, inter_, h_ + e * inter_);
        if (int8_down_) QuantizeRow(h_ + e * inter_, inter_, e, int8_h_);
      }
    });
    // One item adds up all experts of its columns in order, so no two threads share a sum.
    pool.ParallelFor(PanelGroups(*active_[0].group->down),
                     [&](std::int64_t panel_group) HWY_ATTR { Down(panel_group); });
  }

 private:
  void GateUp(const ActiveGroup& active, std::int64_t panel_group) {
    const std::int64_t n_begin = panel_group * kGroupOutputs;
    const std::int64_t outputs = std::min(kGroupOutputs, 2 * inter_ - n_begin);
    ForEachBlock(*active.group, [&](std::int64_t begin, std::int64_t m) HWY_ATTR {
      std::int64_t rows[kBlockRows];
      for (std::int64_t i = 0; i < m; ++i) rows[i] = active.group->entries[begin + i].row;
      HWY_ALIGN float acc[kBlockRows * kGroupOutputs];
      Multiply(*active.group->gate_up, panel_group, args_.x.template As<const T>(), int8_x_, rows,
               m, acc);
      float* out = gate_up_ + (active.first_entry + begin) * 2 * inter_ + n_begin;
      for (std::int64_t i = 0; i < m; ++i) {
        StoreOutputs(acc + i * kGroupOutputs, outputs, out + i * 2 * inter_);
      }
    });
  }

  void Down(std::int64_t panel_group) {
    for (std::int64_t a = 0; a < active_count_; ++a) {
      const ActiveGroup& active = active_[a];
      ForEachBlock(*active.group, [&](std::int64_t begin, std::int64_t m) HWY_ATTR {
        std::int64_t rows[kBlockRows];
        std::iota(rows, rows + m, active.first_entry + begin);
        HWY_ALIGN float acc[kBlockRows * kGroupOutputs];
        Multiply(*active.group->down, panel_group, h_, int8_h_, rows, m, acc);
        for (std::int64_t i = 0; i < m; ++i) {
          AddWeighted(active.group->entries[begin + i], panel_group, acc + i * kGroupOutputs);
        }
      });
    }
  }

  /// The outputs of a panel group for rows `rows` of x [.., k], which `quantized` holds for i8.
  static void Multiply(const PackedMatrix& w, std::int64_t panel_group, const T* x,
                       const Int8Rows& quantized, const std::int64_t* rows, std::int64_t m,
                       float* acc) {
    if (w.storage() == base::DType::kI8) {
      return MultiplyInt8Group(w, panel_group, quantized, rows, m, acc);
    }
    const T* pointers[kBlockRows] = {};
    for (std::int64_t i = 0; i < m; ++i) pointers[i] = x + rows[i] * w.k();
    MultiplyGroup(w, panel_group, pointers, m, acc);
  }

  void AddWeighted(const ExpertEntry& entry, std::int64_t panel_group, const float* down) {
    const std::int64_t n_begin = panel_group * kGroupOutputs;
    const std::int64_t outputs = std::min(kGroupOutputs, hidden_ - n_begin);
    float* y = args_.y.As<float>() + entry.slot * hidden_ + n_begin;
    const float weight = entry.weight;
    const bool first = entry.first;
    ForEachLane(
        outputs,
        [=](std::int64_t i) HWY_ATTR {
          const VF w = hn::Set(DF(), weight);
          const VF value = LoadF32(down + i);
          StoreF32(first ? hn::Mul(w, value) : Fma(w, value, LoadF32(y + i)), y + i);
        },
        [=](std::int64_t i)
            HWY_ATTR { y[i] = first ? weight * down[i] : std::fma(weight, down[i], y[i]); });
  }

  const ExpertFfnArgs& args_;
  const std::int64_t hidden_;
  const std::int64_t inter_;
  const std::int64_t entries_;
  char* const memory_;
  const ExpertFfnLayout layout_;
  const Int8Rows int8_x_;
  const Int8Rows int8_h_;
  bool int8_gate_up_ = false;
  bool int8_down_ = false;
  ActiveGroup* active_;  // [active_count_]
  std::int64_t active_count_ = 0;
  float* gate_up_;  // [entries_, 2 * inter_]
  T* h_;            // [entries_, inter_]
};

void ExpertFfnAll(const ExpertFfnArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  if (args.x.dtype == base::DType::kF32) {
    ExpertFfn<float>(args, workspace).Run(pool);
  } else {
    ExpertFfn<std::uint16_t>(args, workspace).Run(pool);
  }
}

// NOLINTNEXTLINE(google-readability-namespace-comments)
}  // namespace HWY_NAMESPACE
}  // namespace moesaic::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace moesaic::kernels {
HWY_EXPORT(ExpertFfnAll);

void cpu::Run(const ExpertFfnArgs& args, base::TensorView workspace, base::ComputePool& pool) {
  HWY_DYNAMIC_DISPATCH(ExpertFfnAll)(args, workspace, pool);
}

}  // namespace moesaic::kernels
#endif  // HWY_ONCE
