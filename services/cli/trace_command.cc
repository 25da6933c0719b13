// moesaic requests: which requests a router served; moesaic trace ID: what happened in one.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "http/client.h"
#include "services/cli/api_client.h"
#include "services/cli/cluster_file.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

/// Which router to ask.
struct RouterUrlFlags {
  std::string url;
  std::string state_dir = DefaultStateDir();

  void Declare(CLI::App& command) {
    command.add_option("--url", url, "http://host:port of the router; default: the local cluster");
    command.add_option("--state-dir", state_dir, "Folder of the local cluster")
        ->capture_default_str();
  }
  absl::StatusOr<http::Response> Get(const std::string& path) const {
    std::string router = url;
    if (router.empty()) {
      MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(state_dir));
      router = cluster.http_url;
    }
    MOESAIC_ASSIGN_OR_RETURN(const http::Client client,
                             http::Client::Create(router, {.read_timeout = absl::Seconds(30)}));
    return client.Get(path);
  }
};

struct RequestsFlags {
  RouterUrlFlags router;
  bool slowest = false;
  bool slowest_ttft = false;
  int count = 20;
  double min_ms = 0;
  double min_ttft_ms = 0;
  std::string tenant;
  bool json = false;
};

std::string PathOf(const RequestsFlags& flags) {
  std::string path = "/debug/requests?";
  absl::StrAppend(&path,
                  flags.slowest_ttft ? "slowest_ttft"
                  : flags.slowest    ? "slowest"
                                     : "limit",
                  "=", flags.count, "&min_ms=", flags.min_ms, "&min_ttft_ms=", flags.min_ttft_ms);
  if (!flags.tenant.empty()) absl::StrAppend(&path, "&tenant=", flags.tenant);
  return path;
}

void PrintRequests(const nlohmann::json& requests) {
  absl::PrintF("%-36s %-9s %-12s %10s %10s %10s %10s %10s %7s %7s\n", "REQUEST ID", "OUTCOME",
               "TENANT", "MS", "TTFT", "QUEUE", "PREFILL", "DECODE", "PROMPT", "TOKENS");
  for (const nlohmann::json& request : requests) {
    const auto milliseconds = [&request](const char* name) {
      return request.contains(name) ? absl::StrFormat("%.1f", request.value(name, 0.0)) : "-";
    };
    absl::PrintF("%-36s %-9s %-12s %10s %10s %10s %10s %10s %7d %7d\n",
                 request.value("request_id", ""), request.value("outcome", ""),
                 request.value("tenant", ""), milliseconds("duration_ms"), milliseconds("ttft_ms"),
                 milliseconds("queue_ms"), milliseconds("prefill_ms"), milliseconds("decode_ms"),
                 request.value("prompt_tokens", 0), request.value("generated_tokens", 0));
  }
}

absl::Status ListRequests(const RequestsFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(const http::Response response, flags.router.Get(PathOf(flags)));
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json answer, ParseAnswer(response));
  const auto requests = answer.find("requests");
  if (requests == answer.end() || !requests->is_array()) {
    return absl::InternalError("the router's answer lists no requests");
  }
  if (flags.json) {
    std::printf("%s\n", requests->dump(2).c_str());
  } else {
    PrintRequests(*requests);
  }
  return absl::OkStatus();
}

struct TraceFlags {
  RouterUrlFlags router;
  std::string id;
};

absl::Status PrintTrace(const TraceFlags& flags) {
  MOESAIC_ASSIGN_OR_RETURN(const http::Response response,
                           flags.router.Get("/debug/trace/" + flags.id));
  MOESAIC_RETURN_IF_ERROR(ParseAnswer(response).status());
  std::printf("%s\n", response.body.c_str());
  return absl::OkStatus();
}

int ExitCode(const char* command, const absl::Status& status) {
  return status.ok() ? kExitOk : Fail(command, std::string(status.message()));
}

}  // namespace

void AddRequestsCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<RequestsFlags>();
  CLI::App* command =
      app.add_subcommand("requests", "List the requests a router served, the latest first");
  command->add_flag("--slowest", flags->slowest, "Those that took longest first");
  command->add_flag("--slowest-ttft", flags->slowest_ttft,
                    "Those that waited longest for their first token first");
  command->add_option("-n,--count", flags->count, "How many")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
  command->add_option("--min-ms", flags->min_ms, "Only those that took so long")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--min-ttft-ms", flags->min_ttft_ms,
                   "Only those that waited so long for their first token")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--tenant", flags->tenant, "Only those of this tenant");
  command->add_flag("--json", flags->json, "Print all there is as JSON");
  flags->router.Declare(*command);
  command->callback(
      [flags, &run] { run = [flags] { return ExitCode("requests", ListRequests(*flags)); }; });
}

void AddTraceCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<TraceFlags>();
  CLI::App* command = app.add_subcommand(
      "trace",
      "Print a request's timeline as Chrome trace JSON, for ui.perfetto.dev or chrome://tracing");
  command->add_option("id", flags->id, "Request id or trace id")->required();
  flags->router.Declare(*command);
  command->callback(
      [flags, &run] { run = [flags] { return ExitCode("trace", PrintTrace(*flags)); }; });
}

}  // namespace moesaic::services
