// A registry that keeps nothing: what a program costs without its metrics. Linked before the
// library, it takes the place of monitoring/registry.cc; all else is the same code. Reads as zero,
// so that the busy time that a process reports is zero too.
#include "monitoring/registry.h"

namespace moesaic::monitoring {
namespace {

/// A handle needs something to refer to, which nothing looks at.
template <typename Series>
Series& Nothing() {
  alignas(void*) static char nothing;
  return reinterpret_cast<Series&>(nothing);
}

}  // namespace

struct Registry::Impl {};

Registry::Registry() = default;
Registry::~Registry() = default;

Counter Registry::Get(const CounterDef&, LabelValues) {
  return Counter(Nothing<prometheus::Counter>());
}
Gauge Registry::Get(const GaugeDef&, LabelValues) { return Gauge(Nothing<prometheus::Gauge>()); }
Histogram Registry::Get(const HistogramDef&, LabelValues) {
  return Histogram(Nothing<prometheus::Histogram>());
}
void Registry::SetSeries(const GaugeDef&, const std::vector<Sample>&) {}
void Registry::OnScrape(std::function<void()>) {}
std::string Registry::Exposition() { return ""; }
std::string_view Registry::ExpositionContentType() { return "text/plain"; }

// Clang warns of members that nothing names.
void Counter::Increment(double) { static_cast<void>(series_); }
double Counter::Value() const { return 0; }
void Gauge::Set(double) { static_cast<void>(series_); }
void Gauge::Add(double) {}
double Gauge::Value() const { return 0; }
void Histogram::Observe(double) { static_cast<void>(series_); }

}  // namespace moesaic::monitoring
