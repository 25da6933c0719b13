// The index of a checkpoint that is split over files.
#include "base/check.h"
#include "model/checkpoint.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/scratch_folder.h"

namespace {

constexpr std::string_view kConfig = R"({
  "architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": 8,
  "intermediate_size": 4, "hidden_act": "silu", "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "vocab_size": 16,
  "num_experts": 4, "num_experts_per_tok": 2, "max_position_embeddings": 64, "norm_topk_prob": false,
  "rope_theta": 10000, "rms_norm_eps": 1e-5})";
constexpr std::string_view kHeader =
    R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const moesaic::fuzz::ScratchFolder folder;
  static const bool prepared = [] {
    folder.Write("config.json", kConfig);
    std::string file(8, '\0');
    file[0] = static_cast<char>(kHeader.size());
    file += kHeader;
    file += std::string(16, '\0');
    for (const char* name : {"x", "y.safetensors"}) folder.Write(name, file);
    const auto config = moesaic::model::ParseConfig(kConfig, "config.json");
    if (!config.ok()) std::fprintf(stderr, "%s\n", config.status().ToString().c_str());
    return config.ok();
  }();
  MOESAIC_CHECK(prepared);
  folder.Write("model.safetensors.index.json", {reinterpret_cast<const char*>(data), size});
  const auto checkpoint = moesaic::model::Checkpoint::Open(folder.Path("."));
  if (!checkpoint.ok()) return 0;
  for (const char* tensor : {"a", "b", "c"}) {
    if ((*checkpoint)->Contains(tensor)) (void)(*checkpoint)->Find(tensor);
  }
  return 0;
}
