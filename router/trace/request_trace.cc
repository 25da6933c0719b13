#include "router/trace/request_trace.h"

#include <algorithm>

namespace moesaic::router {
namespace {

void Append(StepSummary& to, const StepSummary& from) {
  to.ended = from.ended;
  to.steps += from.steps;
  to.rows += from.rows;
  to.prefill_rows += from.prefill_rows;
}

}  // namespace

void RequestTrace::AddStep(const std::shared_ptr<const StepTimeline>& timeline,
                           const StepSummary& step) {
  base::MutexLock lock(mutex_);
  if (!steps_.empty() && last_started_ == step.started) {
    steps_.back().rows += step.rows;  // another choice of the request
    steps_.back().prefill_rows += step.prefill_rows;
    return;
  }
  last_started_ = step.started;
  if (steps_.size() == kMaxSummaries) {
    for (std::size_t i = 0; i < kMaxSummaries / 2; ++i) {
      steps_[i] = steps_[2 * i];
      Append(steps_[i], steps_[2 * i + 1]);
    }
    steps_.resize(kMaxSummaries / 2);
    steps_per_summary_ *= 2;
  }
  if (!steps_.empty() && steps_.back().steps < steps_per_summary_) {
    Append(steps_.back(), step);
  } else {
    steps_.push_back(step);
  }
  KeepDetail({timeline, step.started, step.ended - step.started});
}

void RequestTrace::KeepDetail(Detail detail) {
  if (details_.size() < kFirstSteps + kSlowestSteps) {
    details_.push_back(std::move(detail));
    return;
  }
  const auto shortest =
      std::min_element(details_.begin() + kFirstSteps, details_.end(),
                       [](const Detail& a, const Detail& b) { return a.length < b.length; });
  if (shortest->length >= detail.length) return;
  details_.erase(shortest);
  details_.push_back(std::move(detail));
}

void RequestTrace::Finish(monitoring::UsageRecord usage, std::string status) {
  base::MutexLock lock(mutex_);
  usage_ = std::move(usage);
  status_ = std::move(status);
}

RequestTrace::Content RequestTrace::Snapshot() const {
  Content content;
  std::vector<Detail> details;
  {
    base::MutexLock lock(mutex_);
    content.steps = steps_;
    content.usage = usage_;
    content.status = status_;
    details = details_;
  }
  for (const Detail& detail : details) content.details.push_back(detail.timeline->Snapshot());
  return content;
}

std::optional<monitoring::UsageRecord> RequestTrace::usage() const {
  base::MutexLock lock(mutex_);
  return usage_;
}

std::size_t RequestTrace::bytes() const {
  base::MutexLock lock(mutex_);
  std::size_t bytes = sizeof(*this) + steps_.capacity() * sizeof(StepSummary) +
                      request_.request_id.size() + status_.size();
  for (const Detail& detail : details_) bytes += sizeof(detail) + detail.timeline->bytes();
  return bytes;
}

}  // namespace moesaic::router
