// Gating against the choices and weights of the model authors' own code, from the router logits of
// the golden data.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "kernels/gating.h"
#include "model/checkpoint.h"
#include "tests/golden/golden.h"
#include "tests/testing/host_tensor.h"
#include "tests/testing/run_op.h"

namespace moesaic::kernels {
namespace {

using base::DType;
using testing::HostTensor;

GatingParams ParamsOf(const model::ModelConfig& config) {
  const model::GatingConfig& gating = config.moe.gating;
  GatingParams params;
  params.scoring = gating.scoring == model::ScoringFunc::kSigmoid ? GateScoring::kSigmoid
                                                                  : GateScoring::kSoftmax;
  params.experts = config.moe.num_experts;
  params.top_k = gating.top_k;
  params.groups = gating.num_groups;
  params.topk_groups = gating.topk_groups;
  params.group_score =
      gating.method == model::TopkMethod::kNoAuxTc ? GroupScore::kTop2Sum : GroupScore::kMax;
  params.normalize = gating.renormalize;
  params.normalize_epsilon = gating.renormalize_epsilon;
  params.scale = gating.scale;
  return params;
}

/// Owned, aligned copy of a mapped f32 tensor.
HostTensor Copy(const base::TensorView& view) {
  HostTensor copy(DType::kF32, {view.dim(0), view.rank > 1 ? view.dim(1) : 1});
  std::memcpy(copy.view().data, view.data, view.bytes());
  return copy;
}

std::int64_t Int64At(const base::TensorView& view, std::int64_t i) {
  std::int64_t value;
  std::memcpy(&value, view.As<char>() + i * 8, sizeof(value));
  return value;
}

/// "p1.layers.2.router_logits" → "p1.layers.2.", or nothing.
std::optional<std::string> Prefix(const std::string& name) {
  constexpr absl::string_view kSuffix = "router_logits";
  if (!absl::EndsWith(name, kSuffix)) return std::nullopt;
  return name.substr(0, name.size() - kSuffix.size());
}

void CheckLayer(const model::Checkpoint& checkpoint, const model::SafetensorsFile& golden,
                const std::string& prefix) {
  const auto view = [&](const char* key) {
    return *golden.View(*golden.Find(absl::StrCat(prefix, key)));
  };
  const HostTensor logits = Copy(view("router_logits"));
  const base::TensorView expected_ids = view("topk_idx");
  const HostTensor expected_weights = Copy(view("topk_weight"));

  GatingArgs args;
  args.params = ParamsOf(checkpoint.config());
  args.logits = logits;
  HostTensor bias;
  if (checkpoint.config().moe.gating.correction_bias) {
    const std::string layer = prefix.substr(prefix.find('.') + 1);
    bias = Copy(
        checkpoint.Find(absl::StrCat("model.", layer, "mlp.gate.e_score_correction_bias"))->tensor);
    args.correction_bias = base::TensorView::Host(bias.As<float>(), {args.params.experts});
  }
  const std::int64_t tokens = logits.view().dim(0);
  const int top_k = args.params.top_k;
  const HostTensor ids(DType::kI32, {tokens, top_k});
  const HostTensor weights(DType::kF32, {tokens, top_k});
  const HostTensor by_weight(DType::kI32, {tokens, top_k});
  const HostTensor invalid(DType::kU8, {tokens});
  args.expert_ids = ids;
  args.weights = weights;
  args.ids_by_weight = by_weight;
  args.invalid = invalid;
  ASSERT_TRUE(
      testing::RunOnHost(2, [&](base::Stream& stream) { return Launch(args, {}, stream); }).ok());
  for (std::int64_t i = 0; i < tokens * top_k; ++i) {
    const std::int32_t id = by_weight.As<std::int32_t>()[i];
    ASSERT_EQ(id, Int64At(expected_ids, i)) << prefix << " token " << i / top_k;
    const std::int32_t* row = ids.As<std::int32_t>() + i / top_k * top_k;
    const auto slot = std::find(row, row + top_k, id) - row;
    const float weight = weights.As<float>()[i / top_k * top_k + slot];
    const float expected = expected_weights.As<float>()[i];
    // Two ways of rounding a softmax of a few hundred values or a sigmoid.
    EXPECT_NEAR(weight, expected, 1e-5 * std::abs(expected)) << prefix << " token " << i / top_k;
  }
}

/// Every layer with router logits in a checkpoint's golden file; answers how many there were.
int CheckCheckpoint(const std::string& directory) {
  const auto checkpoint = model::Checkpoint::Open(directory);
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto golden = model::SafetensorsFile::Open(directory + "/golden.safetensors");
  EXPECT_TRUE(golden.ok()) << golden.status();
  if (!checkpoint.ok() || !golden.ok()) return 0;
  int layers = 0;
  for (const model::TensorInfo& tensor : golden->tensors()) {
    const auto prefix = Prefix(tensor.name);
    if (!prefix) continue;
    ++layers;
    CheckLayer(**checkpoint, *golden, *prefix);
  }
  return layers;
}

TEST(GatingGoldenTest, ChoosesAndWeighsAsTheAuthorsCode) {
  for (const std::string& name : testing::GoldenCheckpoints()) {
    SCOPED_TRACE(name);
    EXPECT_GT(CheckCheckpoint(testing::GoldenDir() + "/" + name), 0);
  }
}

TEST(GatingGoldenTest, FullSet) {
  const auto directory = testing::FullGoldenDir();
  if (!directory) GTEST_SKIP() << "the full golden data is not on this machine";
  for (const std::string& name : testing::GoldenCheckpoints()) {
    SCOPED_TRACE(name);
    EXPECT_GT(CheckCheckpoint(*directory + "/" + name), 0);
  }
}

}  // namespace
}  // namespace moesaic::kernels
