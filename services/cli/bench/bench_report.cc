#include "services/cli/bench/bench_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace moesaic::services {
namespace {

using OrderedJson = nlohmann::ordered_json;

double PerSecond(std::int64_t count, const LoadResult& result) {
  const double wall_s = absl::ToDoubleSeconds(result.wall);
  return wall_s > 0 ? static_cast<double>(count) / wall_s : 0;
}

double GeneratorShare(const LoadResult& result) {
  const double wall_s = absl::ToDoubleSeconds(result.wall);
  return wall_s > 0 ? result.generator_cpu_s / wall_s : 0;
}

/// A row per name, in the order of the table.
std::vector<std::pair<const char*, const Samples*>> Latencies(const LoadResult& result) {
  return {{"first token", &result.first_token},
          {"between chunks", &result.between_chunks},
          {"per output token", &result.per_token},
          {"end to end", &result.end_to_end}};
}

std::string Head(const BenchReport& report) {
  const BenchTarget& target = report.target;
  const char* form = target.form == PromptForm::kIds ? "token ids" : "words";
  std::string text = absl::StrFormat(
      "%s%s, model %s\nprompts of %s tokens as %s, answers of %s tokens%s, seed %d\n",
      target.base_url, target.path(), target.model, report.prompt_length, form,
      report.output_length, report.ignore_eos ? "" : " at most", report.seed);
  if (report.shared_prefix > 0) {
    absl::StrAppendFormat(&text, "the first %d tokens of all prompts are the same\n",
                          report.shared_prefix);
  }
  return text;
}

std::string Throughput(const BenchReport& report, int width) {
  std::string text =
      absl::StrFormat("\n%-*s %6s %6s %8s %9s %11s %12s %10s\n", width, "load", "ok", "failed",
                      "seconds", "answers/s", "tokens in/s", "tokens out/s", "generator");
  for (const LoadResult& result : report.stages) {
    absl::StrAppendFormat(&text, "%-*s %6d %6d %8.2f %9.2f %11.1f %12.1f %8.1f %%\n", width,
                          StageName(result.stage), result.ok, result.failed,
                          absl::ToDoubleSeconds(result.wall), PerSecond(result.ok, result),
                          PerSecond(result.prompt_tokens, result),
                          PerSecond(result.output_tokens, result), 100 * GeneratorShare(result));
  }
  return text;
}

std::string LatencyTable(const BenchReport& report, int width) {
  const bool any = std::any_of(report.stages.begin(), report.stages.end(),
                               [](const LoadResult& result) { return result.ok > 0; });
  if (!any) return "";
  std::string text = absl::StrFormat("\n%-*s %-16s %9s %9s %9s %9s %9s\n", width, "latency, ms", "",
                                     "p50", "p90", "p99", "max", "mean");
  for (const LoadResult& result : report.stages) {
    std::string name = StageName(result.stage);
    for (const auto& [what, samples] : Latencies(result)) {
      const Summary summary = samples->Summarize();
      if (summary.count == 0) continue;
      absl::StrAppendFormat(&text, "%-*s %-16s %9.1f %9.1f %9.1f %9.1f %9.1f\n", width,
                            std::exchange(name, ""), what, 1e3 * summary.p50, 1e3 * summary.p90,
                            1e3 * summary.p99, 1e3 * summary.max, 1e3 * summary.mean);
    }
  }
  return text;
}

std::string Remarks(const LoadResult& result) {
  const std::string name = StageName(result.stage);
  std::string text;
  for (const auto& [kind, failure] : result.failures) {
    absl::StrAppendFormat(&text, "%s: %d × %s: %s\n", name, failure.count, kind, failure.example);
  }
  if (result.interrupted) {
    absl::StrAppendFormat(&text, "%s: interrupted with %d requests under way\n", name,
                          result.given_up);
  }
  if (result.without_usage > 0) {
    absl::StrAppendFormat(&text,
                          "%s: %d answers without usage: a chunk is taken for a token there\n",
                          name, result.without_usage);
  }
  if (result.cached_tokens > 0) {
    absl::StrAppendFormat(&text, "%s: %d prompt tokens came from the server's prefix cache\n", name,
                          result.cached_tokens);
  }
  if (const Summary late = result.lateness.Summarize(); late.p99 > 1e-3) {
    absl::StrAppendFormat(&text, "%s: requests were sent late: p99 %.1f ms\n", name,
                          1e3 * late.p99);
  }
  return text;
}

OrderedJson SummaryJson(const Samples& samples) {
  const Summary summary = samples.Summarize();
  OrderedJson json = {{"count", summary.count}};
  const std::pair<const char*, double> figures[] = {{"p50", summary.p50},
                                                    {"p90", summary.p90},
                                                    {"p99", summary.p99},
                                                    {"max", summary.max},
                                                    {"mean", summary.mean}};
  for (const auto& [name, value] : figures)
    json[name] = summary.count > 0 ? OrderedJson(value) : OrderedJson();
  return json;
}

OrderedJson StageJson(const LoadResult& result) {
  const LoadStage& stage = result.stage;
  OrderedJson json = {{"mode", stage.arrivals ? "open" : "closed"}};
  if (stage.arrivals) {
    json["rate"] = stage.arrivals->rate;
    json["burst"] = stage.arrivals->burst;
    json["burstiness"] = stage.arrivals->burstiness;
  } else {
    json["concurrency"] = stage.concurrency;
  }
  json["requests_sent"] = result.sent;
  json["requests_ok"] = result.ok;
  json["requests_failed"] = result.failed;
  json["interrupted"] = result.interrupted;
  json["failures"] = OrderedJson::object();
  for (const auto& [kind, failure] : result.failures) {
    json["failures"][kind] = {{"count", failure.count}, {"example", failure.example}};
  }
  json["duration_s"] = absl::ToDoubleSeconds(result.wall);
  json["generator_cpu_s"] = result.generator_cpu_s;
  json["prompt_tokens"] = result.prompt_tokens;
  json["cached_prompt_tokens"] = result.cached_tokens;
  json["output_tokens"] = result.output_tokens;
  json["answers_without_usage"] = result.without_usage;
  json["requests_per_s"] = PerSecond(result.ok, result);
  json["prompt_tokens_per_s"] = PerSecond(result.prompt_tokens, result);
  json["output_tokens_per_s"] = PerSecond(result.output_tokens, result);
  json["time_to_first_token_s"] = SummaryJson(result.first_token);
  json["inter_chunk_latency_s"] = SummaryJson(result.between_chunks);
  json["time_per_output_token_s"] = SummaryJson(result.per_token);
  json["end_to_end_s"] = SummaryJson(result.end_to_end);
  if (stage.arrivals) json["sent_late_s"] = SummaryJson(result.lateness);
  if (result.profile) json["profile"] = ProfileJson(*result.profile);
  return json;
}

}  // namespace

std::string StageName(const LoadStage& stage) {
  if (!stage.arrivals) {
    return absl::StrFormat("%d client%s", stage.concurrency, stage.concurrency == 1 ? "" : "s");
  }
  const Arrivals::Options& arrivals = *stage.arrivals;
  std::string name = absl::StrFormat("%g/s", arrivals.rate);
  if (arrivals.burst > 1) absl::StrAppendFormat(&name, " by %d", arrivals.burst);
  return name;
}

std::string BenchTable(const BenchReport& report) {
  int width = 11;
  for (const LoadResult& result : report.stages) {
    width = std::max(width, static_cast<int>(StageName(result.stage).size()));
  }
  std::string text =
      absl::StrCat(Head(report), Throughput(report, width), LatencyTable(report, width));
  std::string remarks;
  for (const LoadResult& result : report.stages) remarks += Remarks(result);
  if (!remarks.empty()) absl::StrAppend(&text, "\n", remarks);
  for (const LoadResult& result : report.stages) {
    if (!result.profile) continue;
    absl::StrAppend(&text, "\n", StageName(result.stage), "\n", ProfileTable(*result.profile));
  }
  return text;
}

nlohmann::ordered_json BenchJson(const BenchReport& report) {
  const BenchTarget& target = report.target;
  OrderedJson json = {{"tool", "moesaic bench"},
                      {"version", report.version},
                      {"started", report.started},
                      {"url", target.base_url},
                      {"endpoint", target.chat ? "chat" : "completions"},
                      {"model", target.model},
                      {"prompt_form", target.form == PromptForm::kIds ? "ids" : "text"},
                      {"prompt_length", report.prompt_length},
                      {"output_length", report.output_length},
                      {"shared_prefix_tokens", report.shared_prefix},
                      {"ignore_eos", report.ignore_eos},
                      {"seed", report.seed}};
  json["stages"] = OrderedJson::array();
  for (const LoadResult& result : report.stages) json["stages"].push_back(StageJson(result));
  return json;
}

}  // namespace moesaic::services
