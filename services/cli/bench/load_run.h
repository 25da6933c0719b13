#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "http/concurrent_client.h"
#include "services/cli/bench/answer_chunk.h"
#include "services/cli/bench/arrivals.h"
#include "services/cli/bench/request_maker.h"
#include "services/cli/bench/samples.h"
#include "services/cli/bench/step_profile.h"

namespace moesaic::services {

/// One load to put on a server. Plain value.
struct LoadStage {
  int concurrency = 0;                             ///< Closed loop: so many clients.
  std::optional<Arrivals::Options> arrivals = {};  ///< Open loop instead.
  std::int64_t requests = 0;                       ///< To send; 0 = as many as fit into `duration`.
  absl::Duration duration = absl::ZeroDuration();  ///< Nothing is sent later; 0 = no limit.
  int max_in_flight = 1024;  ///< Of an open loop; what comes beyond is counted and not sent.
  std::uint64_t seed = 1;
  std::uint64_t first_request = 0;  ///< Number of the first, for RequestMaker.
};

/// A kind of failure: how often, and what one of them said. Plain value.
struct FailureCount {
  std::int64_t count = 0;
  std::string example;
};

/// What came of a load. Plain value.
struct LoadResult {
  LoadStage stage;
  std::int64_t sent = 0;
  std::int64_t ok = 0;
  std::int64_t failed = 0;
  std::int64_t given_up = 0;  ///< Were under way when the user interrupted.
  bool interrupted = false;
  std::map<std::string, FailureCount> failures;  ///< By kind.
  absl::Duration wall;                           ///< First request to the end of the last.
  double generator_cpu_s = 0;                    ///< Of this process, meanwhile.
  // Of answers that were ok.
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t without_usage = 0;  ///< Their tokens are as ordered, and as many as chunks.
  Samples first_token;             ///< From sending (open loop: from when it was due).
  Samples between_chunks;
  Samples per_token;   ///< Of each answer: first to last chunk, over its tokens but one.
  Samples end_to_end;  ///< To the end of the answer.
  Samples lateness;    ///< Open loop: how late the generator sent.
  std::optional<StepProfile> profile = {};  ///< Of the router meanwhile; set by who asked it.
};

/// Puts one load on a server and measures. Everything happens on the caller's thread. For one Run.
class LoadRun : private http::ConcurrentClient::Observer {
 public:
  /// All of it outlives the run.
  LoadRun(http::ConcurrentClient& client, const BenchTarget& target, const RequestMaker& maker,
          const LoadStage& stage, const base::Clock& clock);

  /// Until the last answer, or an interrupt.
  LoadResult Run();

 private:
  using CallId = http::ConcurrentClient::CallId;
  struct Call {
    absl::Duration due;
    absl::Duration first_at = {};
    absl::Duration last_at = {};
    absl::Duration ended_at = {};  ///< "[DONE]".
    std::int64_t chunks = 0;
    std::int64_t ordered_prompt_tokens = 0;
    AnswerChunk usage = {};  ///< The last that has one.
    std::string bad = {};    ///< What was wrong with the stream; empty = nothing.
    std::string error = {};  ///< What the server said in it.
    bool done = false;
  };

  bool OnEvent(CallId id, std::string_view data, absl::Duration at) override;
  void OnDone(CallId id, absl::StatusOr<http::Response> response, absl::Duration at) override;

  /// When the next request is due, since the epoch of the clock; nothing when all are sent.
  std::optional<absl::Duration> NextDue() const;
  void SendDue();
  void Send(absl::Duration due);
  void TakeAnswer(const Call& call);
  void Fail(const std::string& kind, std::string message);

  http::ConcurrentClient& client_;
  const BenchTarget& target_;
  const RequestMaker& maker_;
  const base::Clock& clock_;
  LoadResult result_;
  absl::Duration begun_;
  std::optional<Arrivals> arrivals_;
  absl::Duration next_arrival_;
  /// Closed loop: when each idle client sends again, the earliest on top.
  std::priority_queue<absl::Duration, std::vector<absl::Duration>, std::greater<>> idle_clients_;
  std::unordered_map<CallId, Call> calls_;
};

}  // namespace moesaic::services
