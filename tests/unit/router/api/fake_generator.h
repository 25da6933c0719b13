#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "router/scheduler/generation.h"

namespace moesaic::router {

/// A Generator whose answers the test writes. Thread-safe.
class FakeGenerator final : public Generator {
 public:
  /// What becomes of submitted requests: OK waits for Emit, an error refuses.
  using Script = std::function<absl::Status(const GenerationRequest&, Sink&)>;

  void SetScript(Script script);
  /// Every request is answered at once by one event per byte of `text`, then the end token.
  void AnswerWith(std::string_view text);
  void SetReady(absl::Status ready);
  void SetMaxModelLen(int tokens);

  absl::StatusOr<std::uint64_t> Submit(GenerationRequest request, Sink sink) override;
  void Cancel(std::uint64_t handle) override;
  GenerationLimits limits() const override;
  absl::Status Ready() const override;

  /// Blocks (ten seconds at most) until so many were submitted, or cancelled; false = never.
  bool AwaitSubmitted(std::size_t count);
  bool AwaitCancelled(std::size_t count);
  /// Handles are indices of submission.
  GenerationRequest request(std::size_t handle);
  std::vector<std::uint64_t> cancelled();
  void Emit(std::size_t handle, GenerationEvent event);

 private:
  struct Entry {
    GenerationRequest request;
    Sink sink;
  };
  mutable base::Mutex mutex_;
  base::CondVar changed_;
  Script script_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::unique_ptr<Entry>> entries_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::uint64_t> cancelled_ ABSL_GUARDED_BY(mutex_);
  absl::Status ready_ ABSL_GUARDED_BY(mutex_);
  int max_model_len_ ABSL_GUARDED_BY(mutex_) = 4096;
};

/// An event with the bytes of `text` as tokens.
GenerationEvent Tokens(std::string_view text);
/// The last event of a generation.
GenerationEvent Finished(FinishReason reason = FinishReason::kStop);
GenerationEvent Failed(absl::Status status);

}  // namespace moesaic::router
