#include "services/cli/bench/bench_plot.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace moesaic::services {
namespace {

// Pixels.
constexpr double kPanelWidth = 380;
constexpr double kHeight = 330;
constexpr double kLeft = 62;
constexpr double kRight = 12;
constexpr double kTop = 64;
constexpr double kBottom = 46;
constexpr int kTicks = 5;

struct Line {
  const char* name;
  const char* colour;
  std::vector<double> values;  // one for each load; negative = none
};

struct Panel {
  const char* title;
  std::vector<Line> lines;
};

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}});
}

/// 1, 2 or 5 times a power of ten, so that kTicks of them reach `highest`.
double TickStep(double highest) {
  if (highest <= 0) return 1;
  const double least = highest / kTicks;
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= least) return factor * power;
  }
  return 10 * power;
}

double HighestOf(const Panel& panel) {
  double highest = 0;
  for (const Line& line : panel.lines) {
    for (const double value : line.values) highest = std::max(highest, value);
  }
  return highest;
}

std::string Text(double x, double y, const char* anchor, const std::string& text) {
  return absl::StrFormat("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", x, y, anchor,
                         Escaped(text));
}

/// Draws a panel whose left edge is at `left`.
class PanelDrawing {
 public:
  PanelDrawing(const Panel& panel, const std::vector<std::string>& names, double left)
      : panel_(panel), names_(names), left_(left), step_(TickStep(HighestOf(panel))) {}

  std::string Draw() const {
    std::string svg = absl::StrFormat("<g font-weight=\"bold\">%s</g>",
                                      Text(left_ + kLeft, 20, "start", panel_.title));
    for (int tick = 0; tick <= kTicks; ++tick) svg += Tick(tick * step_);
    for (std::size_t i = 0; i < names_.size(); ++i) {
      svg += Text(X(i), kHeight - kBottom + 18, "middle", names_[i]);
    }
    double legend_x = left_ + kLeft;
    for (const Line& line : panel_.lines) {
      absl::StrAppendFormat(&svg, "<g fill=\"%s\">%s</g>", line.colour,
                            Text(legend_x, 40, "start", absl::StrCat("● ", line.name)));
      legend_x += 80;
      svg += Curve(line);
    }
    return svg;
  }

 private:
  double X(std::size_t load) const {
    const double width = kPanelWidth - kLeft - kRight;
    const auto loads = static_cast<double>(names_.size());
    return left_ + kLeft + width * (static_cast<double>(load) + 0.5) / loads;
  }
  double Y(double value) const {
    return kHeight - kBottom - (kHeight - kTop - kBottom) * value / (kTicks * step_);
  }

  std::string Tick(double value) const {
    return absl::StrCat(
        absl::StrFormat("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
                        left_ + kLeft, left_ + kPanelWidth - kRight, Y(value), Y(value)),
        Text(left_ + kLeft - 6, Y(value) + 4, "end", absl::StrFormat("%g", value)));
  }

  std::string Curve(const Line& line) const {
    std::string points;
    std::string dots;
    for (std::size_t i = 0; i < line.values.size(); ++i) {
      if (line.values[i] < 0) continue;
      absl::StrAppendFormat(&points, "%.1f,%.1f ", X(i), Y(line.values[i]));
      absl::StrAppendFormat(&dots, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", X(i),
                            Y(line.values[i]), line.colour);
    }
    return absl::StrCat("<polyline points=\"", points, "\" fill=\"none\" stroke=\"", line.colour,
                        "\" stroke-width=\"1.5\"/>\n", dots);
  }

  const Panel& panel_;
  const std::vector<std::string>& names_;
  const double left_;
  const double step_;
};

Panel LatencyPanel(const char* title, const BenchReport& report, Samples LoadResult::*samples) {
  Panel panel{title, {{"p50", "#1f6feb", {}}, {"p90", "#bf8700", {}}, {"p99", "#cf222e", {}}}};
  for (const LoadResult& result : report.stages) {
    const Summary summary = (result.*samples).Summarize();
    const double unknown = summary.count == 0 ? -1 : 0;
    panel.lines[0].values.push_back(unknown < 0 ? unknown : 1e3 * summary.p50);
    panel.lines[1].values.push_back(unknown < 0 ? unknown : 1e3 * summary.p90);
    panel.lines[2].values.push_back(unknown < 0 ? unknown : 1e3 * summary.p99);
  }
  return panel;
}

}  // namespace

std::string BenchPlot(const BenchReport& report) {
  std::vector<std::string> names;
  Panel throughput{"tokens out per second", {{"all clients", "#1a7f37", {}}}};
  for (const LoadResult& result : report.stages) {
    names.push_back(StageName(result.stage));
    const double wall_s = absl::ToDoubleSeconds(result.wall);
    throughput.lines[0].values.push_back(
        wall_s > 0 ? static_cast<double>(result.output_tokens) / wall_s : -1);
  }
  const std::vector<Panel> panels = {
      throughput, LatencyPanel("first token, ms", report, &LoadResult::first_token),
      LatencyPanel("between chunks, ms", report, &LoadResult::between_chunks)};
  const double width = kPanelWidth * static_cast<double>(panels.size());
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
      width, kHeight);
  for (std::size_t i = 0; i < panels.size(); ++i) {
    svg += PanelDrawing(panels[i], names, kPanelWidth * static_cast<double>(i)).Draw();
  }
  svg += Text(kLeft, kHeight - 8, "start",
              absl::StrFormat("%s%s, model %s, prompts %s, answers %s, %s", report.target.base_url,
                              report.target.path(), report.target.model, report.prompt_length,
                              report.output_length, report.started));
  return svg + "</svg>\n";
}

}  // namespace moesaic::services
