#include "monitoring/registry.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "base/check.h"
#include "base/mutex.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "prometheus/text_serializer.h"

namespace moesaic::monitoring {
namespace {

template <typename Values>
prometheus::Labels MakeLabels(const MetricDef& def, const Values& values) {
  prometheus::Labels labels;
  int i = 0;
  for (const auto& value : values) {
    MOESAIC_CHECK(i < MetricDef::kMaxLabels && def.labels[i] != nullptr);
    labels.emplace(def.labels[i++], std::string(value));
  }
  MOESAIC_CHECK(i == MetricDef::kMaxLabels || def.labels[i] == nullptr);
  return labels;
}

}  // namespace

struct Registry::Impl {
  /// The family of a metric; the registry merges a second registration into the first.
  template <typename Builder>
  auto& Family(Builder builder, const MetricDef& def) {
    return builder.Name(def.name).Help(def.help).Register(registry);
  }

  prometheus::Registry registry;
  base::Mutex scrape_mutex;  // held while refreshers run; taken before `mutex`
  base::Mutex mutex;
  std::vector<std::function<void()>> refreshers ABSL_GUARDED_BY(mutex);
  /// Series of the gauges that SetSeries knows, by metric and labels.
  std::map<std::string, std::map<std::vector<std::string>, prometheus::Gauge*>> varying
      ABSL_GUARDED_BY(mutex);
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter Registry::Get(const CounterDef& def, LabelValues values) {
  return Counter(impl_->Family(prometheus::BuildCounter(), def).Add(MakeLabels(def, values)));
}

Gauge Registry::Get(const GaugeDef& def, LabelValues values) {
  return Gauge(impl_->Family(prometheus::BuildGauge(), def).Add(MakeLabels(def, values)));
}

Histogram Registry::Get(const HistogramDef& def, LabelValues values) {
  return Histogram(
      impl_->Family(prometheus::BuildHistogram(), def)
          .Add(MakeLabels(def, values), prometheus::Histogram::BucketBoundaries(
                                            def.buckets, def.buckets + def.bucket_count)));
}

void Registry::SetSeries(const GaugeDef& def, const std::vector<Sample>& samples) {
  base::MutexLock lock(impl_->mutex);
  auto& family = impl_->Family(prometheus::BuildGauge(), def);
  auto& known = impl_->varying[def.name];
  std::map<std::vector<std::string>, prometheus::Gauge*> now;
  for (const Sample& sample : samples) {
    const auto found = known.find(sample.labels);
    prometheus::Gauge* const series =
        found == known.end() ? &family.Add(MakeLabels(def, sample.labels)) : found->second;
    series->Set(sample.value);
    now[sample.labels] = series;
  }
  for (const auto& [labels, series] : known) {
    if (!now.contains(labels)) family.Remove(series);
  }
  known = std::move(now);
}

void Registry::OnScrape(std::function<void()> refresh) {
  base::MutexLock lock(impl_->mutex);
  impl_->refreshers.push_back(std::move(refresh));
}

std::string Registry::Exposition() {
  {
    base::MutexLock scrape(impl_->scrape_mutex);
    std::vector<std::function<void()>> refreshers;
    {
      base::MutexLock lock(impl_->mutex);
      refreshers = impl_->refreshers;
    }
    for (const auto& refresh : refreshers) refresh();
  }
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

std::string_view Registry::ExpositionContentType() {
  return "text/plain; version=0.0.4; charset=utf-8";
}

void Counter::Increment(double by) { series_->Increment(by); }
double Counter::Value() const { return series_->Value(); }
void Gauge::Set(double value) { series_->Set(value); }
void Gauge::Add(double by) { series_->Increment(by); }
double Gauge::Value() const { return series_->Value(); }
void Histogram::Observe(double value) { series_->Observe(value); }

}  // namespace moesaic::monitoring
