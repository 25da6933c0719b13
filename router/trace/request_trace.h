#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "monitoring/trace_context.h"
#include "monitoring/usage_record.h"
#include "router/trace/step_timeline.h"

namespace moesaic::router {

/// Who a traced request is. Plain value.
struct TracedRequest {
  std::string request_id = {};
  monitoring::TraceContext context = {};
  std::string tenant = {};
  std::string endpoint = {};
  absl::Time started = {};
  absl::Duration arrived = {};  ///< Monotonic, the same moment.
};

/// A step, or several in a row, as one request saw it. Times are monotonic. Plain value.
struct StepSummary {
  absl::Duration started = {};
  absl::Duration ended = {};
  std::int32_t steps = 1;
  std::int32_t rows = 0;  ///< Of this request.
  std::int32_t prefill_rows = 0;
};

/// One request, from its arrival to its end and beyond: which steps it was in, and the details of
/// its first and its slowest ones. Bounded whatever the length of the answer: long ones keep a
/// coarser list of steps. Thread-safe.
class RequestTrace {
 public:
  static constexpr std::size_t kMaxSummaries = 1024;
  static constexpr std::size_t kFirstSteps = 2;    ///< Kept in detail.
  static constexpr std::size_t kSlowestSteps = 4;  ///< Kept in detail besides.

  struct Content {
    std::vector<StepSummary> steps;  ///< By time.
    std::vector<StepTimeline::Content> details;
    /// Once it has ended: what it used, and with which status.
    std::optional<monitoring::UsageRecord> usage;
    std::string status;
  };

  explicit RequestTrace(TracedRequest request) : request_(std::move(request)) {}

  const TracedRequest& request() const { return request_; }

  /// A step is over in which it took part. Choices of one request may share a step.
  void AddStep(const std::shared_ptr<const StepTimeline>& timeline, const StepSummary& step);
  /// It has ended; `status` is what the client was told.
  void Finish(monitoring::UsageRecord usage, std::string status);

  Content Snapshot() const;
  /// What it used, once it has ended.
  std::optional<monitoring::UsageRecord> usage() const;
  std::size_t bytes() const;

 private:
  struct Detail {
    std::shared_ptr<const StepTimeline> timeline;
    absl::Duration started;
    absl::Duration length;
  };

  void KeepDetail(Detail detail) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const TracedRequest request_;
  mutable base::Mutex mutex_;
  std::vector<StepSummary> steps_ ABSL_GUARDED_BY(mutex_);
  absl::Duration last_started_ ABSL_GUARDED_BY(mutex_);
  std::int32_t steps_per_summary_ ABSL_GUARDED_BY(mutex_) = 1;
  std::vector<Detail> details_ ABSL_GUARDED_BY(mutex_);  // the first ones, then the slowest
  std::optional<monitoring::UsageRecord> usage_ ABSL_GUARDED_BY(mutex_);
  std::string status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace moesaic::router
