#include "router/trace/step_timeline.h"

namespace moesaic::router {

void StepTimeline::AddLayer(const LayerSpan& span) {
  base::MutexLock lock(mutex_);
  if (content_.layers.size() < kMaxLayers) {
    content_.layers.push_back(span);
  } else {
    ++content_.dropped;
  }
}

void StepTimeline::AddDispatch(DispatchSpan span) {
  base::MutexLock lock(mutex_);
  if (content_.dispatches.size() < kMaxDispatches) {
    content_.dispatches.push_back(std::move(span));
  } else {
    ++content_.dropped;
  }
}

void StepTimeline::Finish(absl::Duration ended, std::int32_t rows,
                          std::vector<std::pair<std::string_view, double>> phases) {
  base::MutexLock lock(mutex_);
  content_.ended = ended;
  content_.rows = rows;
  content_.phases = std::move(phases);
}

StepTimeline::Content StepTimeline::Snapshot() const {
  base::MutexLock lock(mutex_);
  return content_;
}

std::size_t StepTimeline::bytes() const {
  base::MutexLock lock(mutex_);
  return sizeof(*this) + content_.layers.capacity() * sizeof(LayerSpan) +
         content_.dispatches.capacity() * sizeof(DispatchSpan) +
         content_.phases.capacity() * sizeof(content_.phases[0]);
}

}  // namespace moesaic::router
