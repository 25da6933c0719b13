#include <memory>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "bench/op_case.h"
#include "kernels/attention_gqa.h"
#include "kernels/attention_mla.h"

namespace moesaic::bench {
namespace {

using base::DType;

constexpr std::int64_t kBlockTokens = 16;
/// Work items at once: more than the bench has threads.
constexpr int kParallelism = 3;

/// `sequences` that decode one token each behind `context` others, caches of pages in order.
struct DecodeBatch {
  DecodeBatch(std::int64_t sequences, std::int64_t context)
      : sequences(sequences), pages((context + kBlockTokens) / kBlockTokens) {
    offsets = Allocate((sequences + 1) * sizeof(std::int32_t), {});
    std::iota(offsets.As<std::int32_t>(), offsets.As<std::int32_t>() + sequences + 1, 0);
    positions = Allocate(sequences * sizeof(std::int32_t), {});
    std::fill_n(positions.As<std::int32_t>(), sequences, static_cast<std::int32_t>(context));
    tables = Allocate(sequences * pages * sizeof(std::int32_t), {});
    std::iota(tables.As<std::int32_t>(), tables.As<std::int32_t>() + sequences * pages, 0);
  }

  kernels::PagedBatch View() const {
    return {.row_offsets = offsets.View(DType::kI32, {sequences + 1}),
            .first_positions = positions.View(DType::kI32, {sequences}),
            .block_tables = tables.View(DType::kI32, {sequences, pages})};
  }
  /// Elements of a cache of rows this wide.
  std::int64_t Elements(std::int64_t width) const {
    return sequences * pages * kBlockTokens * width;
  }
  kernels::PagedKvView Cache(const base::Buffer& buffer, std::int64_t width) const {
    return {buffer.View(DType::kBF16, {sequences * pages, kBlockTokens, width})};
  }

  std::int64_t sequences;
  std::int64_t pages;  ///< Of a sequence.
  base::Buffer offsets, positions, tables;
};

base::TensorView WorkspaceOf(const base::Buffer& buffer) {
  return buffer.View(DType::kU8, {static_cast<std::int64_t>(buffer.bytes())});
}

Case GqaDecodeCase(std::int64_t sequences, std::int64_t context, int heads, int kv_heads,
                   std::int64_t head_dim) {
  struct Data {
    DecodeBatch batch;
    base::Buffer query, keys, values, out, workspace;
    kernels::AttentionGqaArgs args;
  };
  auto data = std::make_shared<Data>(Data{DecodeBatch(sequences, context), {}, {}, {}, {}, {}, {}});
  const std::int64_t width = kv_heads * head_dim;
  data->query = Filled(sequences * heads * head_dim, DType::kF32, {});
  data->keys = Filled(data->batch.Elements(width), DType::kBF16, {});
  data->values = Filled(data->batch.Elements(width), DType::kBF16, {});
  data->out = Allocate(sequences * heads * head_dim * sizeof(std::uint16_t), {});
  data->args = {.query = data->query.View(DType::kF32, {sequences, heads * head_dim}),
                .keys = data->batch.Cache(data->keys, width),
                .values = data->batch.Cache(data->values, width),
                .batch = data->batch.View(),
                .heads = heads,
                .kv_heads = kv_heads,
                .scale = 0.1f,
                .out = data->out.View(DType::kBF16, {sequences, heads * head_dim}),
                .parallelism = kParallelism};
  data->workspace = Allocate(kernels::WorkspaceBytes(data->args), {});
  Case c;
  c.bytes = static_cast<double>(sequences * (context + 1) * 2 * width * 2);
  c.flops = 4.0 * static_cast<double>(sequences * (context + 1) * heads * head_dim);
  c.result = data->args.out;
  c.launch = [data](std::int64_t, base::Stream& stream) {
    return kernels::Launch(data->args, WorkspaceOf(data->workspace), stream);
  };
  return c;
}

Case MlaDecodeCase(std::int64_t sequences, std::int64_t context, int heads) {
  const kernels::MlaShape shape = {
      .heads = heads, .kv_lora = 512, .nope = 128, .rope = 64, .v_dim = 128};
  struct Data {
    DecodeBatch batch;
    base::Buffer query, cache, kv_b, prompts, out, workspace;
    std::vector<kernels::AttentionMlaArgs> args;  ///< Each with a kv_b of its own.
  };
  auto data =
      std::make_shared<Data>(Data{DecodeBatch(sequences, context), {}, {}, {}, {}, {}, {}, {}});
  const std::int64_t width = shape.kv_lora + shape.rope;
  const std::int64_t weight_rows = heads * (shape.nope + shape.v_dim);
  data->query = Filled(sequences * heads * (shape.nope + shape.rope), DType::kF32, {});
  data->cache = Filled(data->batch.Elements(width), DType::kBF16, {});
  const std::int64_t weights = weight_rows * shape.kv_lora;
  const auto copies = static_cast<std::int64_t>(kFootprintBytes) / (2 * weights) + 1;
  data->kv_b = Filled(copies * weights, DType::kBF16, {});
  data->prompts = Allocate(sequences * sizeof(std::int32_t), {});
  std::fill_n(data->prompts.As<std::int32_t>(), sequences, static_cast<std::int32_t>(context));
  data->out = Allocate(sequences * heads * shape.v_dim * sizeof(std::uint16_t), {});
  for (std::int64_t copy = 0; copy < copies; ++copy) {
    data->args.push_back(
        {.shape = shape,
         .query = data->query.View(DType::kF32, {sequences, heads * (shape.nope + shape.rope)}),
         .cache = data->batch.Cache(data->cache, width),
         .kv_b = base::TensorView(data->kv_b.As<std::uint16_t>() + copy * weights, DType::kBF16,
                                  {weight_rows, shape.kv_lora}),
         .kv_b_scales = {},
         .batch = data->batch.View(),
         .prompt_lengths = data->prompts.View(DType::kI32, {sequences}),
         .scale = 0.1f,
         .out = data->out.View(DType::kBF16, {sequences, heads * shape.v_dim}),
         .parallelism = kParallelism});
  }
  data->workspace = Allocate(kernels::WorkspaceBytes(data->args[0]), {});
  Case c;
  c.bytes = 2.0 * static_cast<double>(sequences * (context + 1) * width + weights);
  c.flops = 2.0 * static_cast<double>(sequences * heads) *
            static_cast<double>((context + 1) * (width + shape.kv_lora) +
                                shape.kv_lora * (shape.nope + shape.v_dim));
  c.result = data->args[0].out;
  c.launch = [data](std::int64_t i, base::Stream& stream) {
    return kernels::Launch(data->args[i % data->args.size()], WorkspaceOf(data->workspace), stream);
  };
  return c;
}

}  // namespace

std::vector<NamedCase> AttentionCases() {
  std::vector<NamedCase> cases;
  const auto add = [&cases](std::string_view shape, std::int64_t sequences, std::int64_t context,
                            const auto& make) {
    cases.push_back({absl::StrCat("attention ", absl::string_view(shape.data(), shape.size()), ", ",
                                  sequences, " x ", context),
                     [=](base::Device) { return make(sequences, context); }, false});
  };
  for (const auto& [sequences, context] : {std::pair{1, 100}, {8, 100}, {8, 2000}}) {
    add("16 of 16 heads", sequences, context,
        [](std::int64_t s, std::int64_t c) { return GqaDecodeCase(s, c, 16, 16, 128); });
    add("32 of 4 heads", sequences, context,
        [](std::int64_t s, std::int64_t c) { return GqaDecodeCase(s, c, 32, 4, 128); });
    add("MLA 16 heads", sequences, context,
        [](std::int64_t s, std::int64_t c) { return MlaDecodeCase(s, c, 16); });
  }
  return cases;
}

}  // namespace moesaic::bench
