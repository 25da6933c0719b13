#include "services/flags/model_flags.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "kernels/simd.h"

namespace moesaic::services {

void ModelFlags::Declare(FlagTable& table) {
  table.Add("model", model_dir, "Checkpoint directory in the Hugging Face layout")->required();
  table.Add("model-id", model_id, "Name clients ask for; default: the directory's name");
  table.Add("compute-dtype", compute_dtype, "f32, or bf16 for weights, matmul inputs and KV cache")
      ->check(CLI::IsMember({"f32", "bf16"}));
  table
      .Add("wire-dtype", wire_dtype,
           "f32, bf16 or fp8 for rows sent to shards; default: --compute-dtype")
      ->check(CLI::IsMember({"f32", "bf16", "fp8"}));
  table
      .Add("weight-dtype", weight_dtype,
           "int8 to quantise every large matrix at load; auto: as the checkpoint stores them")
      ->check(CLI::IsMember({"auto", "int8"}));
  table.Add("unit-size", unit_size, "Consecutive experts that are placed and moved together")
      ->check(CLI::Range(1, 65536));
  table
      .Add("simd", simd,
           "Best instruction set to use: auto, avx512_bf16, avx512_vnni, avx512, avx2, neon or "
           "scalar")
      ->check(CLI::IsMember(
          {"auto", "avx512_bf16", "avx512_vnni", "avx512", "avx2", "neon", "scalar"}));
  table.Add("threads", threads, "Compute threads; 0 = one per core")->check(CLI::Range(0, 1024));
}

absl::StatusOr<ModelFlags::Resolved> ModelFlags::Resolve() const {
  MOESAIC_RETURN_IF_ERROR(kernels::SetMaxSimdTarget(simd));
  Resolved resolved;
  MOESAIC_ASSIGN_OR_RETURN(resolved.compute_dtype, base::ParseDType(compute_dtype));
  MOESAIC_ASSIGN_OR_RETURN(resolved.wire_dtype,
                           base::ParseDType(wire_dtype.empty() ? compute_dtype : wire_dtype));
  if (weight_dtype == "int8") resolved.weight_dtype = base::DType::kI8;
  resolved.threads =
      threads > 0 ? threads : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  const std::filesystem::path directory = std::filesystem::path(model_dir).lexically_normal();
  resolved.model_id = !model_id.empty()          ? model_id
                      : directory.has_filename() ? directory.filename().string()
                                                 : directory.parent_path().filename().string();
  return resolved;
}

}  // namespace moesaic::services
