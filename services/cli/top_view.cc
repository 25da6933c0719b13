#include "services/cli/top_view.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace moesaic::services {
namespace {

constexpr int kMostTenants = 5;
constexpr int kMostEvents = 8;
constexpr char kReset[] = "\033[0m";
constexpr char kBold[] = "\033[1m";
constexpr char kFaint[] = "\033[2m";
constexpr char kGreen[] = "\033[32m";
constexpr char kYellow[] = "\033[33m";
constexpr char kRed[] = "\033[31m";

/// Text as it may go to a terminal.
std::string Plain(std::string_view text) {
  std::string plain(text);
  for (char& c : plain) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = '?';
  }
  return plain;
}

/// At most `columns` characters; UTF-8 is not cut in the middle of a character.
std::string Cut(const std::string& text, int columns) {
  int used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins && ++used > columns) return text.substr(0, i);
  }
  return text;
}

std::string Number(double value) {
  if (value < 10) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.0f", value);
}

std::string Milliseconds(double ms) {
  if (ms <= 0) return "-";
  return ms < 1000 ? absl::StrFormat("%.*f ms", ms < 10 ? 1 : 0, ms)
                   : absl::StrFormat("%.1f s", ms / 1000);
}

std::string Ago(double seconds) {
  if (seconds < 60) return absl::StrFormat("%2.0f s", seconds);
  if (seconds < 3600) return absl::StrFormat("%2.0f m", std::floor(seconds / 60));
  return absl::StrFormat("%2.0f h", std::floor(seconds / 3600));
}

const char* StateWords(std::string_view state) {
  if (state == "SERVING") return "serving";
  if (state == "IDLE") return "idle";
  if (state == "LOADING") return "loading";
  if (state == "SUSPECT") return "lost from sight";
  if (state == "EVACUATING") return "handing over";
  if (state == "EVACUATED") return "emptied";
  if (state == "DRAINING") return "draining";
  if (state == "EXPIRED") return "gone";
  return "?";
}

const char* StateColour(std::string_view state) {
  if (state == "SERVING") return kGreen;
  return state == "SUSPECT" || state == "EXPIRED" ? kRed : kYellow;
}

const char* HealthColour(v1::Health health) {
  switch (health) {
    case v1::HEALTH_OK:
      return kGreen;
    case v1::HEALTH_IMPAIRED:
      return kYellow;
    default:
      return kRed;
  }
}

/// Lines of one screen.
class Drawing {
 public:
  Drawing(const v1::DescribeClusterResponse& cluster, const TopScreen& screen)
      : cluster_(cluster), summary_(cluster.summary()), screen_(screen) {}

  std::string Draw() {
    Headline();
    Figures();
    Routers();
    Shards();
    Tenants();
    Events();
    std::string text;
    const std::size_t rows = screen_.rows > 0 ? static_cast<std::size_t>(screen_.rows) : ~0ul;
    for (std::size_t i = 0; i < std::min(rows, lines_.size()); ++i) {
      absl::StrAppend(&text, lines_[i], "\n");
    }
    return text;
  }

 private:
  /// A line of one colour; an empty colour is none.
  void Line(const std::string& text, const char* colour = "") {
    const std::string cut = Cut(text, screen_.columns);
    const bool coloured = screen_.colour && *colour != '\0';
    lines_.push_back(coloured ? absl::StrCat(colour, cut, kReset) : cut);
  }

  /// Whole words, as many lines as it takes.
  void Wrapped(const std::string& text, const char* colour) {
    std::string line;
    for (const absl::string_view word : absl::StrSplit(text, ' ')) {
      if (!line.empty() && line.size() + 1 + word.size() > Width()) {
        Line(line, colour);
        line.clear();
      }
      absl::StrAppend(&line, line.empty() ? "" : " ", word);
    }
    Line(line, colour);
  }

  void Heading(const std::string& text) {
    Line("");
    Line(text, kFaint);
  }

  std::size_t Width() const { return static_cast<std::size_t>(std::max(20, screen_.columns)); }

  std::string Bar(double ratio, int width) const {
    const int filled =
        std::clamp(static_cast<int>(std::lround(ratio * width)), 0, std::max(0, width));
    std::string bar;
    for (int i = 0; i < width; ++i) bar += i < filled ? "█" : "░";
    return bar;
  }

  void Headline() {
    Line(absl::StrCat("moesaic top  ", Plain(cluster_.model().model_id()), "  placement ",
                      cluster_.epoch().term(), ".", cluster_.epoch().version()),
         kFaint);
    const std::string colour = absl::StrCat(kBold, HealthColour(summary_.health()));
    Wrapped(Plain(summary_.sentence()), colour.c_str());
    if (!summary_.advice().empty()) Wrapped("→ " + Plain(summary_.advice()), "");
  }

  void Figures() {
    Line("");
    const double rate = summary_.tokens_per_s(), capacity = summary_.capacity_tokens_per_s();
    Line(absl::StrFormat("tokens/s      %s generated, %s prompt; %d running, %d waiting",
                         Number(rate), Number(summary_.prompt_tokens_per_s()), summary_.running(),
                         summary_.waiting()));
    if (capacity > 0) {
      Line(absl::StrFormat("headroom      %s %3.0f %% of %s tokens/s%s",
                           Bar(rate / capacity, screen_.columns < 60 ? 10 : 20),
                           100 * std::min(1.0, rate / capacity), Number(capacity),
                           summary_.bottleneck().empty()
                               ? ""
                               : absl::StrCat("; limit: ", Plain(summary_.bottleneck()))));
    } else {
      Line("headroom      not known yet: it shows under load");
    }
    Line(absl::StrFormat("first token   %s typical, %s slowest 5 %%",
                         Milliseconds(summary_.ttft_p50_ms()),
                         Milliseconds(summary_.ttft_p95_ms())));
    Line(absl::StrFormat("between two   %s typical, %s slowest 5 %%",
                         Milliseconds(summary_.itl_p50_ms()), Milliseconds(summary_.itl_p95_ms())));
    if (summary_.currency().empty()) {
      Line("cost          unknown: the coordinator has no --price-list");
    } else {
      Line(absl::StrFormat(
          "cost          %.2f %s an hour%s", summary_.cost_per_hour(), Plain(summary_.currency()),
          summary_.cost_per_million_tokens() > 0
              ? absl::StrFormat(", %.2f a million tokens", summary_.cost_per_million_tokens())
              : ""));
    }
  }

  void Routers() {
    Heading("ROUTERS");
    for (const v1::RouterStatus& router : cluster_.routers()) {
      Line(absl::StrFormat("%-14s %3d running %3d waiting  KV %3.0f %%  %s", Plain(router.router()),
                           router.load().running(), router.load().waiting(),
                           100 * router.load().kv_usage(),
                           Plain(router.registration().http_address())));
    }
    if (cluster_.routers().empty()) Line("none is connected", kRed);
  }

  void Shards() {
    const bool wide = screen_.columns >= 72;
    Heading(
        wide ? "SHARDS         STATE            BUSY              MEMORY            UNITS   ROWS/S"
             : "SHARDS         STATE            BUSY");
    for (const v1::ShardStatus& shard : cluster_.shards()) {
      const double memory = shard.memory_bytes() > 0 ? static_cast<double>(shard.held_bytes()) /
                                                           static_cast<double>(shard.memory_bytes())
                                                     : 0;
      const std::string name = Cut(Plain(shard.placed().shard()), 14);
      std::string line = absl::StrFormat("%-14s %-16s %s %3.0f %%", name, StateWords(shard.state()),
                                         Bar(shard.busy_ratio(), 10), 100 * shard.busy_ratio());
      if (wide) {
        absl::StrAppendFormat(&line, "  %s %3.0f %%  %6s %8s", Bar(memory, 10), 100 * memory,
                              absl::StrCat(shard.held_units(),
                                           shard.held_units() == shard.assigned_units() ? "" : "*"),
                              Number(shard.rows_per_s()));
      }
      Line(line, shard.state() == "SERVING" ? "" : StateColour(shard.state()));
    }
  }

  void Tenants() {
    if (summary_.tenants().empty()) return;
    Heading(absl::StrFormat(
        "TENANTS, last %.0f s     TOKENS IN       OUT  %s", summary_.tenants_window_s(),
        summary_.currency().empty() ? "" : absl::StrCat(Plain(summary_.currency()), " A MILLION")));
    const int count = std::min(kMostTenants, summary_.tenants_size());
    for (int i = 0; i < count; ++i) {
      const v1::TenantStatus& tenant = summary_.tenants(i);
      Line(absl::StrFormat("%-22s %10d %9d  %s", Cut(Plain(tenant.tenant()), 22),
                           tenant.prompt_tokens(), tenant.generated_tokens(),
                           tenant.cost_per_million_tokens() > 0
                               ? absl::StrFormat("%.2f", tenant.cost_per_million_tokens())
                               : ""));
    }
    if (count < summary_.tenants_size()) {
      Line(absl::StrCat("and ", summary_.tenants_size() - count, " more"), kFaint);
    }
  }

  void Events() {
    Heading("EVENTS");
    const int count = std::min(kMostEvents, cluster_.events_size());
    for (int i = 0; i < count; ++i) {
      const v1::Event& event = cluster_.events(cluster_.events_size() - 1 - i);
      const char* const colour = event.kind() == v1::EVENT_KIND_TROUBLE    ? kRed
                                 : event.kind() == v1::EVENT_KIND_RECOVERY ? kGreen
                                                                           : "";
      Line(absl::StrCat(Ago(event.age_s()), "  ", Plain(event.text())), colour);
    }
    if (count == 0) Line("none yet", kFaint);
  }

  const v1::DescribeClusterResponse& cluster_;
  const v1::ClusterSummary& summary_;
  const TopScreen screen_;
  std::vector<std::string> lines_;
};

}  // namespace

std::string DrawTop(const v1::DescribeClusterResponse& cluster, const TopScreen& screen) {
  return Drawing(cluster, screen).Draw();
}

}  // namespace moesaic::services
