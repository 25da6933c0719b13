#pragma once

namespace moesaic::monitoring {

/// What a metric is called and means. Label names end at the first null. Immutable.
struct MetricDef {
  static constexpr int kMaxLabels = 3;
  const char* name;
  const char* help;
  const char* labels[kMaxLabels] = {};
};
struct CounterDef : MetricDef {};
struct GaugeDef : MetricDef {};
/// `buckets` points at ascending upper bounds; +Inf is added.
struct HistogramDef : MetricDef {
  const double* buckets;
  int bucket_count;
};

namespace metrics {

// Bounds in seconds. Latencies of whole requests span five decades, of single tokens and of what a
// token waits for four.
inline constexpr double kRequestBounds[] = {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1,   2.5,
                                            5,    10,    20,   40,  80,   160, 320, 640};
inline constexpr double kTokenBounds[] = {0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08,
                                          0.15,  0.3,    0.6,   1.2,  2.5,  5,    10};
// Dispatches of one layer, in seconds. Few bounds: there is a histogram for every shard.
inline constexpr double kDispatchBounds[] = {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1};
// Rows of a batch.
inline constexpr double kRowBounds[] = {1, 4, 16, 64, 256, 1024, 4096};

}  // namespace metrics
}  // namespace moesaic::monitoring
