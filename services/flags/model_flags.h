#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/dtype.h"
#include "base/status_macros.h"
#include "services/flags/flag_table.h"
#include "services/process.h"

namespace moesaic::services {

/// What router and shards must agree on: the model and the arithmetic it is computed with.
struct ModelFlags {
  std::string model_dir;
  std::string model_id;
  std::string compute_dtype = "bf16";
  std::string wire_dtype;  ///< Empty = that of the computation.
  std::string weight_dtype = "auto";
  std::uint32_t unit_size = 1;
  std::string simd = "auto";
  int threads = 0;  ///< 0 = one per core.

  void Declare(FlagTable& table);

  /// Applies --simd to this process, and sets what the options of a router or a shard say of the
  /// model, its arithmetic and the build. Errors: InvalidArgument naming the flag.
  template <typename Options>
  absl::Status ApplyTo(Options& options) const {
    MOESAIC_ASSIGN_OR_RETURN(const Resolved resolved, Resolve());
    options.model_dir = model_dir;
    options.model_id = resolved.model_id;
    options.unit_size = unit_size;
    options.threads = resolved.threads;
    options.compute_dtype = resolved.compute_dtype;
    options.wire_dtype = resolved.wire_dtype;
    options.weight_dtype = resolved.weight_dtype;
    options.build = BuildVersion();
    return absl::OkStatus();
  }

 private:
  struct Resolved {
    base::DType compute_dtype;
    base::DType wire_dtype;
    std::optional<base::DType> weight_dtype;
    int threads;
    std::string model_id;
  };
  absl::StatusOr<Resolved> Resolve() const;
};

}  // namespace moesaic::services
