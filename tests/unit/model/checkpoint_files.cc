#include "tests/unit/model/checkpoint_files.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <numeric>

#include "base/check.h"
#include "nlohmann/json.hpp"

namespace moesaic::testing {

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "moesaic_test_XXXXXX").string();
  MOESAIC_CHECK(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempDir::File(std::string_view name) const { return path_ + "/" + std::string(name); }

std::string TempDir::Write(std::string_view name, std::string_view content) const {
  std::ofstream out(File(name), std::ios::binary | std::ios::trunc);
  out.write(content.data(), static_cast<std::streamsize>(content.size()));
  out.close();
  MOESAIC_CHECK(out.good());
  return File(name);
}

std::string RawSafetensors(std::string_view header, std::string_view data) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i)));
  return bytes.append(header).append(data);
}

std::string Padded(std::string header) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

std::string Safetensors(const std::vector<TensorSpec>& tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  std::string data;
  for (const TensorSpec& tensor : tensors) {
    const int width = tensor.dtype == "F32" ? 4 : tensor.dtype.starts_with("F8") ? 1 : 2;
    const std::int64_t bytes =
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{width},
                        [](std::int64_t a, std::int64_t b) { return a * b; });
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {data.size(), data.size() + bytes}}};
    for (std::int64_t i = 0; i < bytes; ++i) {
      data.push_back(static_cast<char>((i * 7 + tensor.seed * 31 + 5) % 64));
    }
  }
  return RawSafetensors(Padded(header.dump()), data);
}

std::string SmallOlmoeConfig() {
  return R"({"architectures": ["OlmoeForCausalLM"], "model_type": "olmoe", "hidden_size": 8,
    "intermediate_size": 4, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2, "num_experts": 2, "num_experts_per_tok": 1, "vocab_size": 6,
    "max_position_embeddings": 64, "rope_theta": 10000.0, "rms_norm_eps": 1e-05,
    "eos_token_id": 1, "torch_dtype": "bfloat16"})";
}

std::vector<TensorSpec> SmallOlmoeTensors() {
  const std::string layer = "model.layers.0.";
  std::vector<TensorSpec> tensors = {
      {"model.embed_tokens.weight", "BF16", {6, 8}},
      {"model.norm.weight", "BF16", {8}},
      {"lm_head.weight", "BF16", {6, 8}},
      {layer + "input_layernorm.weight", "BF16", {8}},
      {layer + "post_attention_layernorm.weight", "BF16", {8}},
      {layer + "self_attn.q_norm.weight", "BF16", {8}},
      {layer + "self_attn.k_norm.weight", "BF16", {8}},
      {layer + "mlp.gate.weight", "BF16", {2, 8}},
  };
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    tensors.push_back({layer + "self_attn." + name + ".weight", "BF16", {8, 8}});
  }
  for (const char* expert : {"0.", "1."}) {
    const std::string prefix = layer + "mlp.experts." + expert;
    tensors.push_back({prefix + "gate_proj.weight", "BF16", {4, 8}});
    tensors.push_back({prefix + "up_proj.weight", "BF16", {4, 8}});
    tensors.push_back({prefix + "down_proj.weight", "BF16", {8, 4}});
  }
  int seed = 0;
  for (TensorSpec& tensor : tensors) tensor.seed = seed++;
  return tensors;
}

void WriteSmallOlmoe(const TempDir& directory) {
  directory.Write("config.json", SmallOlmoeConfig());
  directory.Write("model.safetensors", Safetensors(SmallOlmoeTensors()));
}

}  // namespace moesaic::testing
