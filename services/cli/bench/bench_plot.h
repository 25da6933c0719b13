#pragma once

#include <string>

#include "services/cli/bench/bench_report.h"

namespace moesaic::services {

/// The loads of a report as an SVG: tokens out per second, time to the first token and the gaps
/// between chunks, over the sweep. A pure function.
std::string BenchPlot(const BenchReport& report);

}  // namespace moesaic::services
