#pragma once

#include <optional>
#include <string>

#include "base/dtype.h"

namespace moesaic::model {

/// Everything that may change the bits of a result. Plain value.
struct NumericsInputs {
  int kernel_contract_version = 0;  ///< kernels' kKernelContractVersion.
  std::string device_class;         ///< "cpu", or a GPU class such as "cuda".
  std::string weight_format;        ///< Checkpoint::WeightFormat().
  base::DType compute_dtype = base::DType::kBF16;
  base::DType wire_dtype = base::DType::kBF16;
  /// What weights are converted to at load; nothing: each is held as it is stored.
  std::optional<base::DType> weight_dtype = std::nullopt;
  int unit_size = 1;
};

/// The numerics id: 16 lower-case hex digits; replicas with equal ids give equal bits.
std::string NumericsId(const NumericsInputs& inputs);

}  // namespace moesaic::model
