// What a dispatch costs between a router and a shard, against raw TCP and against the naive way, by
// the method of the design's "dispatch floor": interleaved rounds in one run, medians, the real
// client, parser, gather and reply writer, and no expert behind them. Exit code 1 when a goal is
// missed. --quick takes less than 40 s.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/check.h"
#include "bench/dispatch_peers.h"
#include "bench/raw_tcp_echo.h"

namespace moesaic::bench {
namespace {

// Goals of the issue; numbers.md has those to strive for.
constexpr double kMaxRatioOneToken = 2.2;
constexpr double kMaxRatioSixteenTokens = 2.4;
constexpr double kMinNaiveOverOurs = 5.0;
constexpr double kMinPipelinedShare = 0.55;

/// A server in a process of its own; ended by closing its pipe.
class ChildServer {
 public:
  /// `serve(port_pipe, stop_pipe)` runs in the child.
  explicit ChildServer(const std::function<void(int, int)>& serve) {
    int port_pipe[2];
    int stop_pipe[2];
    MOESAIC_CHECK(pipe(port_pipe) == 0 && pipe(stop_pipe) == 0);
    pid_ = fork();
    MOESAIC_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      close(stop_pipe[1]);
      serve(port_pipe[1], stop_pipe[0]);
      _exit(0);
    }
    close(port_pipe[1]);
    close(stop_pipe[0]);
    stop_ = stop_pipe[1];
    MOESAIC_CHECK(read(port_pipe[0], &port_, sizeof port_) == sizeof port_);
    close(port_pipe[0]);
  }
  ~ChildServer() {
    close(stop_);
    kill(pid_, SIGKILL);  // a later child may hold a copy of the pipe
    waitpid(pid_, nullptr, 0);
  }
  ChildServer(const ChildServer&) = delete;
  ChildServer& operator=(const ChildServer&) = delete;
  int port() const { return port_; }

 private:
  pid_t pid_ = 0;
  int stop_ = -1;
  int port_ = 0;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Median over `count` calls, in microseconds.
double MedianMicros(int count, const std::function<void()>& round_trip) {
  std::vector<double> times(count);
  for (double& time : times) {
    const std::int64_t begin = Nanoseconds();
    round_trip();
    time = static_cast<double>(Nanoseconds() - begin);
  }
  return Median(times) / 1e3;
}

/// Per second, over one measurement of `count` round trips.
double Rate(int count, const std::function<void()>& run) {
  const std::int64_t begin = Nanoseconds();
  run();
  return count * 1e9 / static_cast<double>(Nanoseconds() - begin);
}

/// How much is measured.
struct Effort {
  int rounds;
  int round_trips;  // of the fast ways, per round
  int naive_round_trips;
};

struct Peers {
  const ChildServer& raw;
  DispatchLoop& ours;
  DispatchLoop& hand_off;
  NaiveClient& naive;
};

/// Medians over the rounds, in microseconds.
struct Latencies {
  double raw;
  double ours;
  double hand_off;
  double naive;
};

Latencies MeasureLatencies(int tokens, const Effort& effort, const Peers& peers) {
  std::vector<double> raw, ours, hand_off, naive;
  RawEchoClient raw_client(peers.raw.port(), RowBytes(tokens));
  // Round 0 warms everything up and is not counted.
  for (int round = 0; round <= effort.rounds; ++round) {
    const double raw_us = MedianMicros(effort.round_trips, [&] { raw_client.RoundTrip(); });
    const double ours_us = Median(peers.ours.Run(tokens, effort.round_trips, 1)) / 1e3;
    const double hand_off_us =
        Median(peers.hand_off.Run(tokens, effort.naive_round_trips, 1)) / 1e3;
    const double naive_us =
        MedianMicros(effort.naive_round_trips, [&] { peers.naive.RoundTrip(tokens); });
    if (round == 0) continue;
    raw.push_back(raw_us);
    ours.push_back(ours_us);
    hand_off.push_back(hand_off_us);
    naive.push_back(naive_us);
  }
  return {Median(raw), Median(ours), Median(hand_off), Median(naive)};
}

/// Our rate with two in flight as a share of raw TCP's: the median over the rounds.
double MeasurePipelinedShare(int tokens, const Effort& effort, const Peers& peers) {
  std::vector<double> shares;
  RawEchoClient raw_client(peers.raw.port(), RowBytes(tokens));
  const int count = 2 * effort.round_trips;
  double ours_rate = 0;
  for (int round = 0; round <= effort.rounds; ++round) {
    const double raw = Rate(count, [&] { raw_client.Pipeline(count, 2); });
    ours_rate = Rate(count, [&] { peers.ours.Run(tokens, count, 2); });
    if (round > 0) shares.push_back(ours_rate / raw);
  }
  const double share = Median(shares);
  std::printf("two in flight, %2d tokens: %.0f round trips/s, %.2f of raw TCP (goal %.2f)\n",
              tokens, ours_rate, share, kMinPipelinedShare);
  return share;
}

/// Prints a goal and whether it was met.
bool Meets(const char* what, double value, const char* relation, double goal) {
  const bool met = std::strcmp(relation, "<=") == 0 ? value <= goal : value >= goal;
  std::printf("%-48s %6.2f %s %.2f  %s\n", what, value, relation, goal, met ? "ok" : "MISSED");
  return met;
}

int Run(bool quick) {
  // Children first: gRPC must not have started threads before a fork.
  int raw_port = 0;
  const ChildServer raw([&raw_port](int port_pipe, int) {
    const int listener = ListenOnLoopback(&raw_port);
    MOESAIC_CHECK(write(port_pipe, &raw_port, sizeof raw_port) == sizeof raw_port);
    ServeRawEcho(listener);
  });
  const ChildServer shard([](int port, int stop) { ServeDispatch(port, stop, false); });
  const ChildServer pooled([](int port, int stop) { ServeDispatch(port, stop, true); });
  const ChildServer naive_server([](int port, int stop) { ServeNaive(port, stop); });
  DispatchLoop ours(shard.port());
  DispatchLoop hand_off(pooled.port());
  NaiveClient naive(naive_server.port());
  const Peers peers{raw, ours, hand_off, naive};
  const Effort effort = quick ? Effort{9, 1000, 200} : Effort{25, 4000, 800};

  std::printf("round trip, us      raw TCP     ours  +pool  naive   ours/raw  naive/ours\n");
  const auto measure = [&](int tokens) {
    const Latencies l = MeasureLatencies(tokens, effort, peers);
    std::printf("%2d x %d bf16      %8.1f %8.1f %6.1f %6.1f   %8.2f  %10.2f\n", tokens, kHidden,
                l.raw, l.ours, l.hand_off, l.naive, l.ours / l.raw, l.naive / l.ours);
    return l;
  };
  const Latencies one = measure(1);
  const Latencies sixteen = measure(16);
  MeasurePipelinedShare(16, effort, peers);

  bool met = Meets("1 token, ours / raw TCP", one.ours / one.raw, "<=", kMaxRatioOneToken);
  met &=
      Meets("16 tokens, ours / raw TCP", sixteen.ours / sixteen.raw, "<=", kMaxRatioSixteenTokens);
  met &= Meets("16 tokens, naive / ours", sixteen.naive / sixteen.ours, ">=", kMinNaiveOverOurs);
  return met ? 0 : 1;
}

}  // namespace
}  // namespace moesaic::bench

int main(int argc, char** argv) {
  // Debian's Abseil looks for lock cycles by default: 12-17 % of all instructions here.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  bool quick = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
    } else {
      std::fprintf(stderr, "usage: dispatch_bench [--quick]\n");
      return 2;
    }
  }
  return moesaic::bench::Run(quick);
}
