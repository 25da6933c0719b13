#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "services/flags/flag_table.h"

namespace moesaic::services {

/// What router and shards must agree on: the model and the arithmetic it is computed with.
struct ModelFlags {
  std::string model_dir;
  std::string model_id;
  std::string compute_dtype = "bf16";
  std::string wire_dtype;  ///< Empty = that of the computation.
  std::uint32_t unit_size = 1;
  std::string simd = "auto";
  int threads = 0;  ///< 0 = one per core.

  void Declare(FlagTable& table);

  /// Applies --simd to this process and returns the parsed data types.
  /// Errors: InvalidArgument naming the flag.
  struct Resolved {
    base::DType compute_dtype;
    base::DType wire_dtype;
    int threads;
    std::string model_id;
  };
  absl::StatusOr<Resolved> Resolve() const;
};

}  // namespace moesaic::services
