#include "services/cli/bench/load_run.h"

#include <sys/resource.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "services/cli/api_client.h"

namespace moesaic::services {
namespace {

// A client whose request failed waits a little: a server that refuses everything is not hammered.
constexpr absl::Duration kPauseAfterFailure = absl::Milliseconds(100);
constexpr std::size_t kMaxExampleBytes = 300;
constexpr std::size_t kMaxKinds = 32;

double ProcessCpuSeconds() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

const char* KindOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return "connect";
    case absl::StatusCode::kAborted:
      return "broke_off";
    case absl::StatusCode::kDeadlineExceeded:
      return "timeout";
    case absl::StatusCode::kResourceExhausted:
      return "too_long";
    default:
      return "bad_answer";
  }
}

}  // namespace

LoadRun::LoadRun(http::ConcurrentClient& client, const BenchTarget& target,
                 const RequestMaker& maker, const LoadStage& stage, const base::Clock& clock)
    : client_(client), target_(target), maker_(maker), clock_(clock) {
  result_.stage = stage;
}

LoadResult LoadRun::Run() {
  const double cpu_before = ProcessCpuSeconds();
  begun_ = clock_.Monotonic();
  const LoadStage& stage = result_.stage;
  if (stage.arrivals) {
    arrivals_.emplace(*stage.arrivals, Random(stage.seed, 0));
    next_arrival_ = begun_ + arrivals_->Next();
  } else {
    for (int i = 0; i < stage.concurrency; ++i) idle_clients_.push(begun_);
  }
  for (;;) {
    SendDue();
    const std::optional<absl::Duration> due = NextDue();
    if (!due && calls_.empty()) break;
    if (!client_.Poll(due.value_or(absl::InfiniteDuration()), *this)) {
      result_.interrupted = true;
      result_.given_up = static_cast<std::int64_t>(calls_.size());
      client_.CancelAll();
      break;
    }
  }
  result_.wall = clock_.Monotonic() - begun_;
  result_.generator_cpu_s = ProcessCpuSeconds() - cpu_before;
  return std::move(result_);
}

std::optional<absl::Duration> LoadRun::NextDue() const {
  const LoadStage& stage = result_.stage;
  if (stage.requests > 0 && result_.sent >= stage.requests) return std::nullopt;
  absl::Duration due = next_arrival_;
  if (!arrivals_) {
    if (idle_clients_.empty()) {
      return calls_.empty() ? std::nullopt : std::optional(absl::InfiniteDuration());
    }
    due = idle_clients_.top();
  }
  const bool too_late = stage.duration > absl::ZeroDuration() &&
                        std::max(due, clock_.Monotonic()) >= begun_ + stage.duration;
  return too_late ? std::nullopt : std::optional(due);
}

void LoadRun::SendDue() {
  for (;;) {
    const std::optional<absl::Duration> due = NextDue();
    if (!due || *due > clock_.Monotonic()) return;
    if (arrivals_) {
      next_arrival_ = begun_ + arrivals_->Next();
    } else {
      idle_clients_.pop();
    }
    Send(*due);
  }
}

void LoadRun::Send(absl::Duration due) {
  const std::int64_t number = result_.sent++;
  const LoadStage& stage = result_.stage;
  if (arrivals_ && calls_.size() >= static_cast<std::size_t>(stage.max_in_flight)) {
    Fail("not_sent", absl::StrCat("more than ", stage.max_in_flight, " requests in flight"));
    return;
  }
  const BenchRequest request =
      maker_.Make(stage.first_request + static_cast<std::uint64_t>(number));
  const absl::Duration now = clock_.Monotonic();
  if (arrivals_) result_.lateness.Add(absl::ToDoubleSeconds(now - due));
  const CallId id = client_.Post(target_.path(), request.body, target_.headers);
  calls_.emplace(
      id, Call{.due = arrivals_ ? due : now, .ordered_prompt_tokens = request.prompt_tokens});
}

bool LoadRun::OnEvent(CallId id, std::string_view data, absl::Duration at) {
  Call& call = calls_.at(id);
  if (data == "[DONE]") {
    call.done = true;
    call.ended_at = at;
    return true;
  }
  AnswerChunk chunk = ReadAnswerChunk(data);
  if (!chunk.valid) call.bad = "the server sent a chunk that is not JSON";
  if (!chunk.error.empty()) call.error = std::move(chunk.error);
  if (!call.bad.empty() || !call.error.empty()) return false;
  if (chunk.content) {
    if (call.chunks++ == 0) {
      call.first_at = at;
    } else {
      result_.between_chunks.Add(absl::ToDoubleSeconds(at - call.last_at));
    }
    call.last_at = at;
  }
  if (chunk.output_tokens >= 0) call.usage = std::move(chunk);
  return true;
}

void LoadRun::OnDone(CallId id, absl::StatusOr<http::Response> response, absl::Duration at) {
  const auto node = calls_.extract(id);
  const Call& call = node.mapped();
  const std::int64_t failed_before = result_.failed;
  if (!call.bad.empty()) {
    Fail("bad_answer", call.bad);
  } else if (!call.error.empty()) {
    Fail("error_in_stream", call.error);
  } else if (call.done) {
    TakeAnswer(call);
  } else if (!response.ok()) {
    Fail(KindOf(response.status()), std::string(response.status().message()));
  } else if (response->status != 200) {
    Fail(absl::StrCat("http_", response->status),
         std::string(ParseAnswer(*response).status().message()));
  } else if (!absl::StartsWith(response->content_type, "text/event-stream")) {
    Fail("bad_answer",
         absl::StrCat("the answer is no event stream, but '", response->content_type, "'"));
  } else {
    Fail("broke_off", "the stream ended without [DONE]");
  }
  if (arrivals_) return;
  idle_clients_.push(result_.failed == failed_before ? at : at + kPauseAfterFailure);
}

void LoadRun::TakeAnswer(const Call& call) {
  if (call.chunks == 0) {
    Fail("empty", "an answer without text");
    return;
  }
  ++result_.ok;
  const bool counted = call.usage.output_tokens >= 0;
  const std::int64_t tokens = counted ? call.usage.output_tokens : call.chunks;
  result_.without_usage += !counted;
  result_.output_tokens += tokens;
  result_.prompt_tokens +=
      call.usage.prompt_tokens >= 0 ? call.usage.prompt_tokens : call.ordered_prompt_tokens;
  result_.cached_tokens += std::max<std::int64_t>(0, call.usage.cached_tokens);
  result_.first_token.Add(absl::ToDoubleSeconds(call.first_at - call.due));
  result_.end_to_end.Add(absl::ToDoubleSeconds(call.ended_at - call.due));
  if (tokens > 1) {
    result_.per_token.Add(absl::ToDoubleSeconds(call.last_at - call.first_at) /
                          static_cast<double>(tokens - 1));
  }
}

void LoadRun::Fail(const std::string& kind, std::string message) {
  ++result_.failed;
  const bool known = result_.failures.contains(kind) || result_.failures.size() < kMaxKinds;
  FailureCount& failure = result_.failures[known ? kind : "other"];
  if (failure.count++ > 0) return;
  message.resize(std::min(message.size(), kMaxExampleBytes));
  failure.example = std::move(message);
}

}  // namespace moesaic::services
