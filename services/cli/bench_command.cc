// moesaic bench: loads an OpenAI-compatible server and measures it.

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "services/cli/bench/bench_plot.h"
#include "services/cli/bench/bench_report.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt_scope.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

constexpr int kMaxConcurrency = 16384;
// An open loop that nobody ended.
constexpr absl::Duration kOpenLoopDuration = absl::Seconds(30);
constexpr std::int64_t kRequestsPerClient = 4;
constexpr std::int64_t kFewestRequests = 16;
constexpr absl::Duration kMetricsTimeout = absl::Seconds(30);

struct BenchFlags {
  std::string state_dir = DefaultStateDir();
  TargetOptions target;
  std::string endpoint = "completions";
  std::vector<int> concurrency;
  std::vector<double> rates;
  int burst = 1;
  double burstiness = 1;
  int max_in_flight = 1024;
  std::int64_t requests = 0;
  double duration_s = 0;
  int warmup = 4;
  std::string prompt_tokens = "64";
  std::string output_tokens = "32";
  std::int64_t shared_prefix = 0;
  bool ignore_eos = true;
  std::uint64_t seed = 1;
  double timeout_s = 600;
  std::string json;
  std::string plot;
  bool profile = false;
};

/// As many connections as the system lets this process have.
void RaiseFileLimit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

absl::StatusOr<std::vector<LoadStage>> PlanStages(const BenchFlags& flags) {
  if (!flags.concurrency.empty() && !flags.rates.empty()) {
    return absl::InvalidArgumentError("either --concurrency (closed loop) or --rate (open loop)");
  }
  if (flags.rates.empty() && (flags.burst != 1 || flags.burstiness != 1)) {
    return absl::InvalidArgumentError(
        "--burst and --burstiness are of an open loop: give a --rate");
  }
  LoadStage common;
  common.requests = flags.requests;
  common.duration = absl::Seconds(flags.duration_s);
  common.max_in_flight = flags.max_in_flight;
  common.seed = flags.seed;
  std::vector<LoadStage> stages;
  for (const double rate : flags.rates) {
    LoadStage stage = common;
    stage.arrivals = {.rate = rate, .burst = flags.burst, .burstiness = flags.burstiness};
    if (flags.requests == 0 && flags.duration_s == 0) stage.duration = kOpenLoopDuration;
    stages.push_back(stage);
  }
  if (!stages.empty()) return stages;
  for (const int clients : flags.concurrency.empty() ? std::vector<int>{8} : flags.concurrency) {
    LoadStage stage = common;
    stage.concurrency = clients;
    if (flags.requests == 0 && flags.duration_s == 0) {
      stage.requests = std::max(kFewestRequests, kRequestsPerClient * clients);
    }
    stages.push_back(stage);
  }
  return stages;
}

/// Runs the warm-up and the loads one after the other; an interrupt ends them early.
class BenchRun {
 public:
  /// `profiling`: how to ask the router where its time goes; nullopt = it is not asked.
  BenchRun(http::ConcurrentClient& client, const BenchTarget& target, const RequestMaker& maker,
           std::optional<http::ClientOptions> profiling)
      : client_(client), target_(target), maker_(maker), profiling_(profiling) {}

  /// False when it was interrupted.
  bool WarmUp(int requests) {
    if (requests == 0) return true;
    return !Run({.concurrency = std::min(requests, 4), .requests = requests}).interrupted;
  }

  LoadResult Run(LoadStage stage) {
    stage.first_request = next_request_;
    LoadResult result = LoadRun(client_, target_, maker_, stage, base::Clock::Real()).Run();
    next_request_ += static_cast<std::uint64_t>(result.sent);
    return result;
  }

  /// Run, and the router's profile where that was asked for. Errors: of the look before; when the
  /// one after fails, there is a warning and no profile.
  absl::StatusOr<LoadResult> Measure(const LoadStage& stage) {
    if (!profiling_) return Run(stage);
    MOESAIC_ASSIGN_OR_RETURN(const StepCounters before,
                             FetchStepCounters(target_.base_url, *profiling_));
    LoadResult result = Run(stage);
    http::ClientOptions options = *profiling_;
    options.interrupt_fd = -1;  // an interrupt has ended the load, not the report
    absl::StatusOr<StepCounters> after = FetchStepCounters(target_.base_url, options);
    absl::StatusOr<StepProfile> profile =
        after.ok() ? ProfileBetween(before, *after) : absl::StatusOr<StepProfile>(after.status());
    if (profile.ok()) {
      result.profile = *std::move(profile);
    } else {
      Fail("bench", absl::StrCat("no profile: ", profile.status().message()));
    }
    return result;
  }

 private:
  http::ConcurrentClient& client_;
  const BenchTarget& target_;
  const RequestMaker& maker_;
  const std::optional<http::ClientOptions> profiling_;
  std::uint64_t next_request_ = 0;
};

absl::StatusOr<BenchReport> Measure(BenchFlags flags) {
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<LoadStage> stages, PlanStages(flags));
  MOESAIC_ASSIGN_OR_RETURN(LengthDistribution prompt,
                           LengthDistribution::Parse(flags.prompt_tokens));
  MOESAIC_ASSIGN_OR_RETURN(LengthDistribution output,
                           LengthDistribution::Parse(flags.output_tokens));
  if (flags.target.url.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(flags.state_dir));
    flags.target.url = cluster.http_url;
  }
  const InterruptScope interrupt;
  flags.target.chat = flags.endpoint == "chat";
  flags.target.timeout = absl::Seconds(flags.timeout_s);
  flags.target.interrupt_fd = interrupt.fd();
  BenchReport report{
      .started = absl::FormatTime(absl::RFC3339_sec, absl::Now(), absl::UTCTimeZone()),
      .version = BuildVersion(),
      .prompt_length = prompt.text(),
      .output_length = output.text(),
      .shared_prefix = flags.shared_prefix,
      .ignore_eos = flags.ignore_eos,
      .seed = flags.seed};
  MOESAIC_ASSIGN_OR_RETURN(report.target, FindTarget(flags.target));
  const RequestMaker maker(report.target, {.prompt = std::move(prompt),
                                           .output = std::move(output),
                                           .shared_prefix = flags.shared_prefix,
                                           .ignore_eos = flags.ignore_eos,
                                           .seed = flags.seed});
  MOESAIC_ASSIGN_OR_RETURN(
      const std::unique_ptr<http::ConcurrentClient> client,
      http::ConcurrentClient::Create(
          report.target.base_url,
          {.call_timeout = absl::Seconds(flags.timeout_s), .interrupt_fd = interrupt.fd()},
          base::Clock::Real()));
  std::optional<http::ClientOptions> profiling;
  if (flags.profile) {
    profiling = {.read_timeout = kMetricsTimeout, .interrupt_fd = interrupt.fd()};
    // Says so before the load when this is no router.
    MOESAIC_RETURN_IF_ERROR(FetchStepCounters(report.target.base_url, *profiling).status());
  }
  BenchRun run(*client, report.target, maker, profiling);
  if (!run.WarmUp(flags.warmup)) return absl::CancelledError("interrupted in the warm-up");
  for (const LoadStage& stage : stages) {
    std::fprintf(stderr, "moesaic bench: %s\n", StageName(stage).c_str());
    MOESAIC_ASSIGN_OR_RETURN(LoadResult result, run.Measure(stage));
    report.stages.push_back(std::move(result));
    if (report.stages.back().interrupted) break;
  }
  return report;
}

absl::Status WriteFiles(const BenchFlags& flags, const BenchReport& report) {
  if (!flags.json.empty()) {
    const std::string text =
        BenchJson(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
    MOESAIC_RETURN_IF_ERROR(base::WriteFileAtomically(flags.json, text + "\n"));
  }
  if (flags.plot.empty()) return absl::OkStatus();
  return base::WriteFileAtomically(flags.plot, BenchPlot(report));
}

int Bench(const BenchFlags& flags) {
  RaiseFileLimit();
  const absl::StatusOr<BenchReport> report = Measure(flags);
  if (!report.ok()) {
    Fail("bench", std::string(report.status().message()));
    return absl::IsInvalidArgument(report.status()) ? kExitUsage : kExitFailure;
  }
  std::fputs(BenchTable(*report).c_str(), stdout);
  if (const absl::Status written = WriteFiles(flags, *report); !written.ok()) {
    return Fail("bench", std::string(written.message()));
  }
  const bool any_ok = std::any_of(report->stages.begin(), report->stages.end(),
                                  [](const LoadResult& result) { return result.ok > 0; });
  return any_ok ? kExitOk : Fail("bench", "no request succeeded");
}

void DeclareTarget(CLI::App& command, BenchFlags& flags) {
  command.add_option("--url", flags.target.url,
                     "Base URL of the API, with or without /v1; default: the local cluster's");
  command.add_option("--state-dir", flags.state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command.add_option("--model", flags.target.model, "Default: the first that the server lists");
  command.add_option("--api-key", flags.target.api_key, "Better in the environment")
      ->envname("OPENAI_API_KEY");
  command.add_option("--endpoint", flags.endpoint, "completions or chat")
      ->capture_default_str()
      ->check(CLI::IsMember({"completions", "chat"}));
  command.add_option("--timeout-s", flags.timeout_s, "A request that takes longer has failed")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 86400.0));
}

void DeclareLoad(CLI::App& command, BenchFlags& flags) {
  command
      .add_option("--concurrency", flags.concurrency,
                  "Closed loop: so many clients, each asking again when it has its answer; several "
                  "(1,8,32) are a sweep; default: 8")
      ->delimiter(',')
      ->check(CLI::Range(1, kMaxConcurrency));
  command
      .add_option("--rate", flags.rates,
                  "Open loop: so many requests a second, at random moments, whatever becomes of "
                  "them; several are a sweep")
      ->delimiter(',')
      ->check(CLI::Range(1e-3, 1e5));
  command.add_option("--burst", flags.burst, "Open loop: so many requests at once")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxConcurrency));
  command
      .add_option("--burstiness", flags.burstiness,
                  "Open loop: shape of the gaps' gamma distribution; 1 = Poisson, below 1 more "
                  "uneven, above 1 more even")
      ->capture_default_str()
      ->check(CLI::Range(0.01, 1000.0));
  command
      .add_option("--max-in-flight", flags.max_in_flight,
                  "Open loop: requests beyond are counted as failed and not sent")
      ->capture_default_str()
      ->check(CLI::Range(1, kMaxConcurrency));
  command
      .add_option("--requests", flags.requests,
                  "Of each load; default: four for each client, or 30 s of an open loop")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  command.add_option("--duration-s", flags.duration_s, "Of each load: nothing is sent later")
      ->check(CLI::Range(0.1, 1e6));
  command.add_option("--warmup", flags.warmup, "Requests before everything, not counted")
      ->capture_default_str()
      ->check(CLI::Range(0, 1'000'000));
  command.add_option("--seed", flags.seed, "Of lengths, prompts and moments")
      ->capture_default_str();
}

void DeclareRequests(CLI::App& command, BenchFlags& flags) {
  command
      .add_option("--prompt-tokens", flags.prompt_tokens,
                  "64, uniform:16-96, normal:MEAN,DEVIATION or lognormal:MEDIAN,SIGMA")
      ->capture_default_str();
  command.add_option("--output-tokens", flags.output_tokens, "The same for answers")
      ->capture_default_str();
  command
      .add_option("--prompt-form", flags.target.prompt_form,
                  "ids, text, or auto: ids where the server takes them")
      ->capture_default_str()
      ->check(CLI::IsMember({"auto", "ids", "text"}));
  command.add_option("--token-ids", flags.target.token_ids,
                     "FIRST-LAST: prompts are of these; default: by the server's vocabulary");
  command
      .add_option("--shared-prefix", flags.shared_prefix,
                  "So many tokens at the start are the same in all prompts")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{0}, LengthDistribution::kMaxTokens));
  command.add_flag("--ignore-eos,!--no-ignore-eos", flags.ignore_eos,
                   "Answers have all their tokens; for servers that know the field. Default: on");
}

}  // namespace

void AddBenchCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand(
      "bench", "Load an OpenAI-compatible server and measure its latency and throughput");
  DeclareTarget(*command, *flags);
  DeclareLoad(*command, *flags);
  DeclareRequests(*command, *flags);
  command->add_option("--json", flags->json, "Write the report to this file too");
  command->add_option("--plot", flags->plot, "Write a plot of the sweep to this file, as SVG");
  command->add_flag("--profile", flags->profile,
                    "Of a Moesaic router: where the time of its steps went");
  command->callback([flags, &run] { run = [flags] { return Bench(*flags); }; });
}

}  // namespace moesaic::services
