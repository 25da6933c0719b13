#include "router/trace/chrome_trace.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace moesaic::router {
namespace {

using Json = nlohmann::ordered_json;

// Tracks of the router, in the order in which they are shown; micro-batch m has kLayers + m.
constexpr int kRouter = 1;
constexpr int kRequest = 1;
constexpr int kSteps = 2;
constexpr int kLayers = 3;

/// Writes events of one trace. Times are given monotonic.
class EventWriter {
 public:
  explicit EventWriter(absl::Duration origin) : origin_(origin) {}

  void NameProcess(int pid, std::string_view name) {
    Metadata(pid, 0, "process_name", {{"name", name}});
    Metadata(pid, 0, "process_sort_index", {{"sort_index", pid}});
  }
  void NameTrack(int pid, int tid, std::string_view name) {
    Metadata(pid, tid, "thread_name", {{"name", name}});
    Metadata(pid, tid, "thread_sort_index", {{"sort_index", tid}});
  }
  /// Something that lasted.
  void Span(int pid, int tid, std::string_view name, absl::Duration begin, absl::Duration end,
            Json args = Json::object()) {
    const std::int64_t ts = Micros(begin);
    events_.push_back({{"name", name},
                       {"cat", pid == kRouter ? "router" : "shard"},
                       {"ph", "X"},
                       {"ts", ts},
                       {"dur", std::max<std::int64_t>(0, Micros(end) - ts)},
                       {"pid", pid},
                       {"tid", tid},
                       {"args", std::move(args)}});
  }
  /// Something that happened at a moment.
  void Instant(int pid, int tid, std::string_view name, absl::Duration at) {
    events_.push_back({{"name", name},
                       {"cat", "router"},
                       {"ph", "i"},
                       {"s", "p"},
                       {"ts", Micros(at)},
                       {"pid", pid},
                       {"tid", tid}});
  }
  Json Take() { return std::move(events_); }

 private:
  /// Whole microseconds, rounded alike everywhere: what nests in time nests in the events.
  std::int64_t Micros(absl::Duration at) const {
    return absl::ToInt64Microseconds(std::max(absl::ZeroDuration(), at - origin_));
  }
  void Metadata(int pid, int tid, std::string_view what, Json args) {
    events_.push_back(
        {{"name", what}, {"ph", "M"}, {"pid", pid}, {"tid", tid}, {"args", std::move(args)}});
  }

  const absl::Duration origin_;
  Json events_ = Json::array();
};

double Millis(absl::Duration duration) { return absl::ToDoubleMilliseconds(duration); }

void WriteRequest(const RequestTrace& trace, const RequestTrace::Content& content,
                  absl::Duration now, EventWriter& events) {
  const TracedRequest& request = trace.request();
  Json args = {{"request_id", request.request_id},
               {"trace_id", monitoring::TraceIdText(request.context.trace_id)},
               {"tenant", request.tenant}};
  if (!content.usage) {
    args["status"] = "running";
    events.Span(kRouter, kRequest, request.endpoint, request.arrived, now, std::move(args));
    return;
  }
  const monitoring::UsageRecord& usage = *content.usage;
  args["outcome"] = monitoring::RequestOutcomeName(usage.outcome);
  args["status"] = content.status;
  args["prompt_tokens"] = usage.prompt_tokens;
  args["cached_prompt_tokens"] = usage.cached_prompt_tokens;
  args["generated_tokens"] = usage.generated_tokens;
  const absl::Duration ended = request.arrived + (usage.finished - usage.started);
  events.Span(kRouter, kRequest, request.endpoint, request.arrived, ended, std::move(args));
  // The phases begin when the request is queued: what is before them is parsing, what is behind
  // them the way to the client.
  const absl::Duration phases = absl::Seconds(usage.queue_seconds) +
                                absl::Seconds(usage.prefill_seconds) +
                                absl::Seconds(usage.decode_seconds);
  absl::Duration at = content.steps.empty()
                          ? ended - std::min(phases, ended - request.arrived)
                          : std::max(request.arrived, content.steps.front().started -
                                                          absl::Seconds(usage.queue_seconds));
  if (at > request.arrived) events.Span(kRouter, kRequest, "parse", request.arrived, at);
  for (const auto& [name, seconds] :
       {std::pair("queue", usage.queue_seconds), std::pair("prefill", usage.prefill_seconds),
        std::pair("decode", usage.decode_seconds)}) {
    const absl::Duration end = std::min(ended, at + absl::Seconds(seconds));
    events.Span(kRouter, kRequest, name, at, end);
    at = end;
  }
  if (ended > at) events.Span(kRouter, kRequest, "deliver", at, ended);
  if (usage.first_token_seconds) {
    events.Instant(kRouter, kRequest, "first token",
                   request.arrived + absl::Seconds(*usage.first_token_seconds));
  }
}

/// Steps without details, and those with them where they stand.
void WriteSteps(const RequestTrace::Content& content, EventWriter& events) {
  for (const StepSummary& step : content.steps) {
    Json args = {{"rows", step.rows}, {"prefill_rows", step.prefill_rows}};
    for (const StepTimeline::Content& detail : content.details) {
      if (detail.started != step.started) continue;
      if (step.steps == 1) args["rows_of_all_requests"] = detail.rows;
      for (const auto& [phase, seconds] : detail.phases) {
        if (step.steps == 1) args[absl::StrCat(std::string(phase), "_ms")] = 1e3 * seconds;
      }
    }
    events.Span(kRouter, kSteps, step.steps == 1 ? "step" : absl::StrCat(step.steps, " steps"),
                step.started, step.ended, std::move(args));
  }
}

void WriteLayers(const StepTimeline::Content& step, EventWriter& events) {
  for (const LayerSpan& span : step.layers) {
    const int track = kLayers + static_cast<int>(span.micro_batch);
    const std::string layer = absl::StrCat("layer ", span.layer);
    events.Span(kRouter, track, layer + " attention, gate", span.begun, span.dispatched);
    events.Span(kRouter, track, layer + " experts", span.dispatched, span.done);
  }
  if (step.layers.empty()) return;
  // What follows the last experts: its combine, the head and the choice of tokens.
  absl::Duration last;
  for (const LayerSpan& span : step.layers) last = std::max(last, span.done);
  events.Span(kRouter, kLayers, "combine, head, sample", last, step.ended,
              {{"spans_left_out", step.dropped}});
}

/// A shard's process in the trace: dispatches that overlap lie on different tracks.
struct ShardTracks {
  int pid = 0;
  std::vector<absl::Duration> free_at;

  int TrackFor(absl::Duration begin, absl::Duration end) {
    for (std::size_t i = 0; i < free_at.size(); ++i) {
      if (free_at[i] > begin) continue;
      free_at[i] = end;
      return static_cast<int>(i) + 1;
    }
    free_at.push_back(end);
    return static_cast<int>(free_at.size());
  }
};

void WriteDispatch(const DispatchSpan& span, int pid, int track, EventWriter& events) {
  Json args = {{"lane", span.prefill ? "prefill" : "decode"},
               {"rows", span.rows},
               {"results", span.results},
               {"outcome", span.outcome},
               {"hedge", span.hedge},
               {"retry", span.retry},
               {"round_trip_ms", Millis(span.ended - span.sent)},
               {"queue_wait_ms", Millis(span.queue_wait)},
               {"compute_ms", Millis(span.compute)},
               {"batch_rows", span.batch_rows}};
  std::string name = absl::StrCat("layer ", span.layer);
  if (span.hedge) name += " hedge";
  if (span.retry) name += " retry";
  if (span.outcome != "ok") absl::StrAppend(&name, " ", std::string(span.outcome));
  events.Span(pid, track, name, span.sent, span.ended, std::move(args));
  if (span.outcome != "ok") return;
  const absl::Duration round_trip = span.ended - span.sent;
  const absl::Duration compute = std::min(span.compute, round_trip);
  const absl::Duration wait = std::min(span.queue_wait, round_trip - compute);
  const absl::Duration begin = span.sent + (round_trip - compute - wait) / 2;
  if (wait > absl::ZeroDuration()) events.Span(pid, track, "queue", begin, begin + wait);
  events.Span(pid, track, "compute", begin + wait, begin + wait + compute);
}

void WriteShards(const RequestTrace::Content& content, EventWriter& events) {
  std::vector<const DispatchSpan*> spans;
  std::map<std::string, ShardTracks> shards;
  for (const StepTimeline::Content& step : content.details) {
    for (const DispatchSpan& span : step.dispatches) {
      spans.push_back(&span);
      shards[span.shard];
    }
  }
  int pid = kRouter;
  for (auto& [name, tracks] : shards) {
    tracks.pid = ++pid;
    events.NameProcess(tracks.pid, name);
  }
  std::stable_sort(spans.begin(), spans.end(),
                   [](const DispatchSpan* a, const DispatchSpan* b) { return a->sent < b->sent; });
  for (const DispatchSpan* span : spans) {
    ShardTracks& tracks = shards[span->shard];
    const std::size_t before = tracks.free_at.size();
    const int track = tracks.TrackFor(span->sent, span->ended);
    if (tracks.free_at.size() > before) {
      events.NameTrack(tracks.pid, track, absl::StrCat("dispatches ", track));
    }
    WriteDispatch(*span, tracks.pid, track, events);
  }
}

}  // namespace

std::string ChromeTrace(const RequestTrace& trace, std::string_view router, absl::Duration now) {
  const RequestTrace::Content content = trace.Snapshot();
  const TracedRequest& request = trace.request();
  EventWriter events(request.arrived);
  events.NameProcess(kRouter, router);
  events.NameTrack(kRouter, kRequest, "request");
  events.NameTrack(kRouter, kSteps, "steps");
  std::uint32_t micro_batches = 0;
  for (const StepTimeline::Content& step : content.details) {
    for (const LayerSpan& span : step.layers) {
      micro_batches = std::max(micro_batches, span.micro_batch + 1);
    }
  }
  for (std::uint32_t m = 0; m < micro_batches; ++m) {
    events.NameTrack(kRouter, kLayers + static_cast<int>(m),
                     micro_batches == 1 ? "layers" : absl::StrCat("layers, micro-batch ", m + 1));
  }
  WriteRequest(trace, content, now, events);
  WriteSteps(content, events);
  for (const StepTimeline::Content& step : content.details) WriteLayers(step, events);
  WriteShards(content, events);
  const Json root = {
      {"displayTimeUnit", "ms"},
      {"otherData",
       {{"request_id", request.request_id},
        {"trace_id", monitoring::TraceIdText(request.context.trace_id)},
        {"started", absl::FormatTime(absl::RFC3339_full, request.started, absl::UTCTimeZone())},
        {"steps_in_detail", content.details.size()}}},
      {"traceEvents", events.Take()}};
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace moesaic::router
