#include "router/trace/trace_store.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

namespace moesaic::router {

TraceStore::TraceStore(Options options, monitoring::Registry& registry, const base::Clock& clock)
    : options_(options), clock_(clock), traces_(registry.Get(monitoring::metrics::kTracesTotal)) {}

std::shared_ptr<RequestTrace> TraceStore::Begin(TracedRequest request) {
  if (options_.max_bytes == 0) return nullptr;
  auto trace = std::make_shared<RequestTrace>(std::move(request));
  base::MutexLock lock(mutex_);
  running_.insert(trace);
  return trace;
}

void TraceStore::End(const std::shared_ptr<RequestTrace>& trace, monitoring::UsageRecord usage,
                     std::string status) {
  if (trace == nullptr) return;
  Ended ended;
  ended.trace = trace;
  ended.ended = clock_.Monotonic();
  ended.duration_seconds = absl::ToDoubleSeconds(usage.finished - usage.started);
  ended.first_token_seconds = usage.first_token_seconds.value_or(0);
  trace->Finish(std::move(usage), std::move(status));
  ended.bytes = trace->bytes();
  traces_.Increment();
  base::MutexLock lock(mutex_);
  running_.erase(trace);
  bytes_ += ended.bytes;
  ended_.push_back(std::move(ended));
  Trim();
}

double TraceStore::Threshold(double Ended::*value) const {
  const absl::Duration since = clock_.Monotonic() - options_.slow_window;
  std::vector<double> values;
  for (const Ended& entry : ended_) {
    if (entry.ended >= since) values.push_back(entry.*value);
  }
  if (values.size() <= options_.slowest) return -std::numeric_limits<double>::infinity();
  const auto next = values.begin() + static_cast<std::ptrdiff_t>(options_.slowest);
  std::nth_element(values.begin(), next, values.end(), std::greater<>());
  return *next;
}

void TraceStore::Trim() {
  const std::size_t most = options_.recent + 2 * options_.slowest;
  if (ended_.size() > most || bytes_ > options_.max_bytes) {
    const double duration = Threshold(&Ended::duration_seconds);
    const double first_token = Threshold(&Ended::first_token_seconds);
    const absl::Duration since = clock_.Monotonic() - options_.slow_window;
    const auto spared = [&](const Ended& entry) {
      return entry.ended >= since &&
             (entry.duration_seconds > duration || entry.first_token_seconds > first_token);
    };
    for (auto at = ended_.begin();
         at != ended_.end() && (ended_.size() > most || bytes_ > options_.max_bytes);) {
      if (spared(*at)) {
        ++at;
        continue;
      }
      bytes_ -= at->bytes;
      at = ended_.erase(at);
    }
  }
  // All are slow, or equally so: then age decides.
  while (ended_.size() > most || (bytes_ > options_.max_bytes && !ended_.empty())) {
    bytes_ -= ended_.front().bytes;
    ended_.pop_front();
  }
}

std::shared_ptr<const RequestTrace> TraceStore::Find(std::string_view id) const {
  for (const auto& trace : List()) {
    const TracedRequest& request = trace->request();
    if (request.request_id == id || monitoring::TraceIdText(request.context.trace_id) == id) {
      return trace;
    }
  }
  return nullptr;
}

std::vector<std::shared_ptr<const RequestTrace>> TraceStore::List() const {
  std::vector<std::shared_ptr<const RequestTrace>> all;
  {
    base::MutexLock lock(mutex_);
    all.assign(running_.begin(), running_.end());
    for (const Ended& entry : ended_) all.push_back(entry.trace);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a->request().arrived > b->request().arrived;
  });
  return all;
}

}  // namespace moesaic::router
