#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "monitoring/catalogue.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace moesaic::monitoring {

/// Handles of one time series each: cheap to copy, valid as long as their Registry. Thread-safe.
class Counter {
 public:
  explicit Counter(prometheus::Counter& series) : series_(&series) {}
  void Increment(double by = 1.0);
  double Value() const;

 private:
  prometheus::Counter* series_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& series) : series_(&series) {}
  void Set(double value);
  void Add(double by);
  double Value() const;

 private:
  prometheus::Gauge* series_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& series) : series_(&series) {}
  void Observe(double value);

 private:
  prometheus::Histogram* series_;
};

/// The metrics of one process. Only what stands in the catalogue can be recorded. Passed to whoever
/// measures; nothing is global. Thread-safe.
class Registry {
 public:
  using LabelValues = std::initializer_list<std::string_view>;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  /// The series of a metric with these label values, made on first use. Look it up once and keep it
  /// where speed matters. Requires: as many values as the metric has labels.
  Counter Get(const CounterDef& def, LabelValues values = {});
  Gauge Get(const GaugeDef& def, LabelValues values = {});
  Histogram Get(const HistogramDef& def, LabelValues values = {});

  /// A value of one series of a gauge.
  struct Sample {
    std::vector<std::string> labels;  ///< As many as the metric has.
    double value = 0;
  };
  /// Makes these the series of the gauge: others that it had are gone from the next exposition on.
  /// For what comes and goes, such as shards; `Get` is not to be used for such a metric.
  void SetSeries(const GaugeDef& def, const std::vector<Sample>& samples);

  /// `refresh` runs before every exposition, never twice at once, to bring up to date what nobody
  /// else does. It must stay valid as long as this registry and not block.
  void OnScrape(std::function<void()> refresh);

  /// Everything in Prometheus's text format 0.0.4.
  std::string Exposition();
  /// The Content-Type of Exposition().
  static std::string_view ExpositionContentType();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moesaic::monitoring
