#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/compute_pool.h"
#include "base/stream.h"
#include "base/tensor.h"
#include "router/engine/engine_context.h"
#include "router/engine/step_batch.h"

namespace moesaic::router {

/// Alternatives per position that a request may ask for.
inline constexpr int kMaxTopLogprobs = 64;

/// From the residual stream to tokens and log-probabilities: final norm, head, sampling and
/// log-softmax, for the rows that need logits only, and for so many of them at a time that the
/// logits stay within a fixed memory. Everything runs on the stream, in order; so one step at a
/// time. The choice and the log-probabilities of a row depend on that row alone.
class HeadStage {
 public:
  /// `max_rows`: rows of the largest step. Errors: ResourceExhausted naming the size.
  static absl::StatusOr<HeadStage> Create(const model::ModelConfig& config,
                                          base::DType compute_dtype, std::int64_t max_rows);

  /// Launches the stage for the slices of `batch` whose status in `result` is OK; slice s begins at
  /// row first_rows[s]. When the stream has passed it, `result` holds tokens, log-probabilities and
  /// the failures of slices with non-finite logits. `batch` and `result` must live until then.
  absl::Status Launch(const EngineContext& context, const StepBatch& batch,
                      absl::Span<const std::int32_t> first_rows, StepResult& result,
                      base::CpuStream& stream);

 private:
  /// A row whose logits are needed.
  struct HeadRow {
    std::int32_t slice = 0;
    const SampleSpec* sample = nullptr;  ///< Choose a token …
    std::int32_t target = -1;            ///< … or score this one.
    int top = 0;
    bool wants_logprob = false;
  };
  struct Chunk {
    std::size_t begin = 0;
    std::size_t rows = 0;
    int top = 0;  ///< Most alternatives wanted of a row.
    bool wants_logprobs = false;
  };

  void SelectRows(const StepBatch& batch, absl::Span<const std::int32_t> first_rows,
                  const StepResult& result);
  Chunk ChunkAt(std::size_t begin) const;
  absl::Status LaunchLogits(const EngineContext& context, const Chunk& chunk,
                            std::int64_t step_rows, base::Stream& stream);
  absl::Status LaunchLogSoftmax(const Chunk& chunk, base::Stream& stream);
  // On the stream.
  void Sample(const Chunk& chunk, base::ComputePool& pool);
  void SampleRow(std::size_t row, std::size_t index_in_chunk);
  void Collect(const Chunk& chunk, StepResult& result) const;
  TokenLogprob LogprobAt(const Chunk& chunk, std::size_t index_in_chunk) const;

  std::int64_t vocab_ = 0;
  std::size_t chunk_rows_ = 0;
  base::Buffer gathered_;  ///< f32 [chunk_rows, hidden]
  base::Buffer normed_;    ///< compute [chunk_rows, hidden]
  base::Buffer logits_;    ///< f32 [chunk_rows, vocab]
  base::Buffer scratch_;   ///< f32 [chunk_rows, vocab], for sampling where logits stay needed
  std::vector<std::int32_t> targets_;        // [chunk_rows]
  std::vector<float> target_logprobs_;       // [chunk_rows]
  std::vector<std::int32_t> top_ids_;        // [chunk_rows, top]
  std::vector<float> top_logprobs_;          // [chunk_rows, top]
  std::vector<std::uint8_t> invalid_;        // [chunk_rows]
  std::vector<HeadRow> rows_;                // of the step
  std::vector<std::int32_t> row_numbers_;    // of rows_, within the step
  std::vector<absl::Status> sample_status_;  // [chunk_rows]
};

}  // namespace moesaic::router
