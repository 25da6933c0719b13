#include "router/engine/head_stage.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "kernels/elementwise.h"
#include "kernels/linear.h"
#include "kernels/log_softmax.h"
#include "kernels/rms_norm.h"
#include "kernels/sampling.h"
#include "router/engine/step_times.h"

namespace moesaic::router {
namespace {

/// Logits held at a time: at a vocabulary of 129280 the decodes of 129 sequences, so that the
/// head's weights are read once per decode step.
constexpr std::size_t kLogitsBytes = std::size_t{64} << 20;

absl::Status NonFiniteLogits() {
  return absl::InternalError("the model gave a logit that is not finite");
}

}  // namespace

absl::StatusOr<HeadStage> HeadStage::Create(const model::ModelConfig& config,
                                            base::DType compute_dtype, std::int64_t max_rows) {
  HeadStage stage;
  stage.vocab_ = config.vocab_size;
  const std::size_t row_bytes = std::size_t(config.vocab_size) * sizeof(float);
  stage.chunk_rows_ = std::clamp<std::size_t>(kLogitsBytes / row_bytes, 1, max_rows);
  const std::size_t hidden_elements = stage.chunk_rows_ * config.hidden_size;
  MOESAIC_ASSIGN_OR_RETURN(stage.gathered_,
                           base::Buffer::Allocate(hidden_elements * sizeof(float)));
  MOESAIC_ASSIGN_OR_RETURN(stage.normed_,
                           base::Buffer::Allocate(hidden_elements * DTypeBytes(compute_dtype)));
  MOESAIC_ASSIGN_OR_RETURN(stage.logits_, base::Buffer::Allocate(stage.chunk_rows_ * row_bytes));
  MOESAIC_ASSIGN_OR_RETURN(stage.scratch_, base::Buffer::Allocate(stage.chunk_rows_ * row_bytes));
  stage.targets_.resize(stage.chunk_rows_);
  stage.target_logprobs_.resize(stage.chunk_rows_);
  stage.top_ids_.resize(stage.chunk_rows_ * kMaxTopLogprobs);
  stage.top_logprobs_.resize(stage.chunk_rows_ * kMaxTopLogprobs);
  stage.invalid_.resize(stage.chunk_rows_);
  stage.sample_status_.resize(stage.chunk_rows_);
  return stage;
}

void HeadStage::SelectRows(const StepBatch& batch, absl::Span<const std::int32_t> first_rows,
                           const StepResult& result) {
  rows_.clear();
  row_numbers_.clear();
  for (std::size_t s = 0; s < batch.slices.size(); ++s) {
    const StepSlice& slice = batch.slices[s];
    if (!result.slices[s].status.ok()) continue;
    const auto number = static_cast<std::int32_t>(s);
    if (slice.score) {
      for (std::size_t i = 0; i < slice.score->targets.size(); ++i) {
        rows_.push_back({.slice = number,
                         .target = slice.score->targets[i],
                         .top = slice.score->top,
                         .wants_logprob = true});
        row_numbers_.push_back(first_rows[s] + slice.score->first_row +
                               static_cast<std::int32_t>(i));
      }
    }
    if (slice.sample) {
      rows_.push_back({.slice = number,
                       .sample = &*slice.sample,
                       .top = slice.sample->top_logprobs.value_or(0),
                       .wants_logprob = slice.sample->top_logprobs.has_value()});
      row_numbers_.push_back(first_rows[s] + static_cast<std::int32_t>(slice.tokens.size()) - 1);
    }
  }
}

HeadStage::Chunk HeadStage::ChunkAt(std::size_t begin) const {
  Chunk chunk{.begin = begin, .rows = std::min(chunk_rows_, rows_.size() - begin)};
  const auto most = static_cast<int>(std::min<std::int64_t>(kMaxTopLogprobs, vocab_));
  for (std::size_t i = begin; i < begin + chunk.rows; ++i) {
    chunk.wants_logprobs |= rows_[i].wants_logprob;
    chunk.top = std::max(chunk.top, std::min(rows_[i].top, most));
  }
  return chunk;
}

absl::Status HeadStage::Launch(const EngineContext& context, const StepBatch& batch,
                               absl::Span<const std::int32_t> first_rows, StepResult& result,
                               base::CpuStream& stream) {
  SelectRows(batch, first_rows, result);
  const std::int64_t step_rows =
      first_rows.back() + static_cast<std::int64_t>(batch.slices.back().tokens.size());
  for (std::size_t begin = 0; begin < rows_.size(); begin += chunk_rows_) {
    const Chunk chunk = ChunkAt(begin);
    stream.SetTag(static_cast<int>(StepPhase::kHead));
    MOESAIC_RETURN_IF_ERROR(LaunchLogits(context, chunk, step_rows, stream));
    stream.SetTag(static_cast<int>(StepPhase::kSample));
    stream.Enqueue([this, chunk](base::ComputePool& pool) { Sample(chunk, pool); });
    if (chunk.wants_logprobs) MOESAIC_RETURN_IF_ERROR(LaunchLogSoftmax(chunk, stream));
    stream.Enqueue([this, chunk, &result](base::ComputePool&) { Collect(chunk, result); });
  }
  return absl::OkStatus();
}

absl::Status HeadStage::LaunchLogits(const EngineContext& context, const Chunk& chunk,
                                     std::int64_t step_rows, base::Stream& stream) {
  const auto rows = static_cast<std::int64_t>(chunk.rows);
  const std::int64_t hidden = context.config.hidden_size;
  const base::TensorView gathered = gathered_.View(base::DType::kF32, {rows, hidden});
  const base::TensorView normed = normed_.View(context.compute_dtype, {rows, hidden});
  MOESAIC_RETURN_IF_ERROR(kernels::Launch(
      kernels::EmbeddingArgs{
          .table = context.buffers.residual.All(step_rows),
          .ids = base::TensorView::Host(row_numbers_.data() + chunk.begin, {rows}),
          .y = gathered},
      stream));
  MOESAIC_RETURN_IF_ERROR(
      kernels::Launch(kernels::RmsNormArgs{.x = gathered,
                                           .weight = context.weights.final_norm.view,
                                           .y = normed,
                                           .eps = context.config.rms_norm_eps},
                      {}, stream));
  return kernels::Launch(kernels::LinearArgs{.x = normed,
                                             .weight = &context.weights.lm_head,
                                             .y = logits_.View(base::DType::kF32, {rows, vocab_})},
                         context.buffers.WorkspaceView(), stream);
}

void HeadStage::Sample(const Chunk& chunk, base::ComputePool& pool) {
  pool.ParallelFor(static_cast<std::int64_t>(chunk.rows), [&](std::int64_t i) {
    const std::size_t row = chunk.begin + i;
    sample_status_[i] = absl::OkStatus();
    targets_[i] = rows_[row].target;
    if (rows_[row].sample != nullptr) SampleRow(row, i);
  });
}

void HeadStage::SampleRow(std::size_t row, std::size_t i) {
  float* logits = logits_.As<float>() + i * vocab_;
  if (rows_[row].wants_logprob) {  // log-softmax comes after and reads the raw logits
    float* copy = scratch_.As<float>() + i * vocab_;
    std::copy_n(logits, vocab_, copy);
    logits = copy;
  }
  const absl::StatusOr<std::int32_t> token = kernels::SampleToken(
      rows_[row].sample->input, absl::MakeSpan(logits, static_cast<std::size_t>(vocab_)));
  if (token.ok()) {
    targets_[i] = *token;
  } else {
    sample_status_[i] = absl::IsOutOfRange(token.status()) ? NonFiniteLogits() : token.status();
  }
}

absl::Status HeadStage::LaunchLogSoftmax(const Chunk& chunk, base::Stream& stream) {
  const auto rows = static_cast<std::int64_t>(chunk.rows);
  kernels::LogSoftmaxArgs args;
  args.logits = logits_.View(base::DType::kF32, {rows, vocab_});
  args.targets = base::TensorView::Host(targets_.data(), {rows});
  args.target_logprobs = base::TensorView::Host(target_logprobs_.data(), {rows});
  args.invalid = base::TensorView::Host(invalid_.data(), {rows});
  if (chunk.top > 0) {
    args.top_ids = base::TensorView::Host(top_ids_.data(), {rows, chunk.top});
    args.top_logprobs = base::TensorView::Host(top_logprobs_.data(), {rows, chunk.top});
  }
  return kernels::Launch(args, {}, stream);
}

TokenLogprob HeadStage::LogprobAt(const Chunk& chunk, std::size_t i) const {
  TokenLogprob logprob;
  logprob.token_id = targets_[i];
  logprob.logprob = target_logprobs_[i];
  const int top = std::min(rows_[chunk.begin + i].top, chunk.top);
  for (int t = 0; t < top; ++t) {
    logprob.top.emplace_back(top_ids_[i * chunk.top + t], top_logprobs_[i * chunk.top + t]);
  }
  return logprob;
}

void HeadStage::Collect(const Chunk& chunk, StepResult& result) const {
  for (std::size_t i = 0; i < chunk.rows; ++i) {
    const HeadRow& row = rows_[chunk.begin + i];
    SliceResult& slice = result.slices[row.slice];
    if (!slice.status.ok()) continue;
    if (!sample_status_[i].ok()) {
      slice.status = sample_status_[i];
      continue;
    }
    if (row.wants_logprob && invalid_[i] != 0) {
      slice.status = NonFiniteLogits();
      continue;
    }
    if (row.sample == nullptr) {
      slice.scores.push_back(LogprobAt(chunk, i));
      continue;
    }
    slice.token = targets_[i];
    if (row.wants_logprob) slice.logprob = LogprobAt(chunk, i);
  }
}

}  // namespace moesaic::router
