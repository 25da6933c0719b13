#pragma once

#include "base/dtype.h"
#include "base/stream.h"
#include "kernels/rope_table.h"
#include "model/config.h"
#include "router/engine/dense_weights.h"
#include "router/engine/kv_store.h"
#include "router/engine/step_buffers.h"

namespace moesaic::router {

/// What the blocks of the forward pass work with. Owned by the engine; after construction only
/// ops on the stream change what the buffers and the cache hold.
struct EngineContext {
  model::ModelConfig config;
  base::DType compute_dtype = base::DType::kF32;
  DenseWeights weights;
  kernels::RopeTable rope;
  KvStore kv;
  StepBuffers buffers;
  int parallelism = 1;  ///< Work items an op may run at once.
};

/// The columns of a [rows, width] tensor from `first` on, as [rows, dims…]; the op that gets it
/// needs `width` as the row stride.
base::TensorView Columns(const base::TensorView& tensor, std::int64_t first,
                         std::initializer_list<std::int64_t> dims);

/// A [rows, a * b] tensor as [rows, a, b].
base::TensorView SplitColumns(const base::TensorView& tensor, std::int64_t a, std::int64_t b);

/// An i32 array of a micro-batch as a tensor.
base::TensorView HostVector(const std::vector<std::int32_t>& values);

}  // namespace moesaic::router
