// What a dispatch costs between a router and a shard, against raw TCP and against the naive way, by
// the method of the design's "dispatch floor": interleaved rounds in one run, medians, the real
// client, parser, gather and reply writer, and no expert behind them. Exit code 1 when a goal is
// missed. --quick takes less than 40 s. --tls DIR measures mutual TLS beside it, with DIR/cert.pem
// (which must be its own root, for 127.0.0.1) and DIR/key.pem on both sides:
//   openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=bench
//     -addext subjectAltName=IP:127.0.0.1 -days 1 -keyout key.pem -out cert.pem
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "bench/dispatch_peers.h"
#include "bench/raw_tcp_echo.h"
#include "rpc/process_setup.h"

namespace moesaic::bench {
namespace {

constexpr double kMaxRatioOneToken = 2.0;
constexpr double kMaxRatioSixteenTokens = 2.1;
constexpr double kMinNaiveOverOurs = 5.0;
constexpr double kMinPipelinedShare = 0.55;

/// Keeps this process on the `index`-th of the CPUs it may use, when there are that many. Both ends
/// spin; on one CPU they would wait for each other's time slice instead.
void StayOnCpu(int index) {
  cpu_set_t allowed;
  MOESAIC_CHECK(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
  if (CPU_COUNT(&allowed) <= index) return;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &allowed) || index-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    MOESAIC_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    return;
  }
}

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

/// naive_dispatch_peer, which stands beside this program, as a child: lines in, lines out.
class NaivePeer {
 public:
  NaivePeer(const std::string& program, std::vector<std::string> arguments) {
    int to_child[2];
    int from_child[2];
    MOESAIC_CHECK(pipe2(to_child, O_CLOEXEC) == 0 && pipe2(from_child, O_CLOEXEC) == 0);
    pid_ = fork();
    MOESAIC_CHECK(pid_ >= 0);
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(to_child[0], STDIN_FILENO);
      dup2(from_child[1], STDOUT_FILENO);
      unsetenv("GRPC_POLL_STRATEGY");  // ours; the naive way takes the default
      std::vector<char*> argv = {const_cast<char*>(program.c_str())};
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      execv(program.c_str(), argv.data());
      std::perror(program.c_str());
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    in_ = fdopen(to_child[1], "w");
    out_ = fdopen(from_child[0], "r");
  }
  ~NaivePeer() {
    std::fclose(in_);
    std::fclose(out_);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  NaivePeer(const NaivePeer&) = delete;
  NaivePeer& operator=(const NaivePeer&) = delete;

  double ReadNumber() {
    double value = 0;
    MOESAIC_CHECK(std::fscanf(out_, "%lf", &value) == 1);
    return value;
  }
  /// The client's median over `count` round trips, in microseconds.
  double Measure(int tokens, int count) {
    std::fprintf(in_, "%d %d\n", tokens, count);
    std::fflush(in_);
    return ReadNumber();
  }

 private:
  pid_t pid_ = 0;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

/// Round trips between two looks at the clock.
constexpr int kBatch = 50;
/// No single measurement takes longer, however busy the machine is.
constexpr std::int64_t kMaxNanoseconds = 250'000'000;

/// Median in microseconds over about `count` round trips; `run_batch` appends the nanoseconds of
/// kBatch of them.
double MedianMicros(int count, const std::function<void(std::vector<double>&)>& run_batch) {
  std::vector<double> times;
  const std::int64_t begin = Nanoseconds();
  while (static_cast<int>(times.size()) < count && Nanoseconds() - begin < kMaxNanoseconds) {
    run_batch(times);
  }
  return Median(times) / 1e3;
}

double MedianMicrosOf(int count, const std::function<void()>& round_trip) {
  return MedianMicros(count, [&round_trip](std::vector<double>& times) {
    for (int i = 0; i < kBatch; ++i) {
      const std::int64_t begin = Nanoseconds();
      round_trip();
      times.push_back(static_cast<double>(Nanoseconds() - begin));
    }
  });
}

double MedianMicrosOf(int count, DispatchLoop& loop, int tokens) {
  return MedianMicros(count, [&loop, tokens](std::vector<double>& times) {
    const std::vector<double> batch = loop.Run(tokens, kBatch, 1);
    times.insert(times.end(), batch.begin(), batch.end());
  });
}

/// Round trips per second over about `count` of them; `run_batch` does kBatch.
double Rate(int count, const std::function<void()>& run_batch) {
  const std::int64_t begin = Nanoseconds();
  int done = 0;
  for (; done < count && Nanoseconds() - begin < kMaxNanoseconds; done += kBatch) run_batch();
  return done * 1e9 / static_cast<double>(Nanoseconds() - begin);
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
  NaivePeer& naive;
  DispatchLoop* tls;  ///< nullptr = not measured.
};

/// Medians over the rounds, in microseconds.
struct Latencies {
  double raw;
  double ours;
  double hand_off;
  double naive;
  double tls;  ///< 0 = not measured.
};

Latencies MeasureLatencies(int tokens, const Effort& effort, const Peers& peers) {
  std::vector<double> raw, ours, hand_off, naive, tls;
  RawEchoClient raw_client(peers.raw.port(), RowBytes(tokens));
  // Round 0 warms everything up and is not counted.
  for (int round = 0; round <= effort.rounds; ++round) {
    const double raw_us = MedianMicrosOf(effort.round_trips, [&] { raw_client.RoundTrip(); });
    const double ours_us = MedianMicrosOf(effort.round_trips, peers.ours, tokens);
    const double hand_off_us = MedianMicrosOf(effort.naive_round_trips, peers.hand_off, tokens);
    const double naive_us = peers.naive.Measure(tokens, effort.naive_round_trips);
    const double tls_us =
        peers.tls == nullptr ? 0 : MedianMicrosOf(effort.naive_round_trips, *peers.tls, tokens);
    if (round == 0) continue;
    tls.push_back(tls_us);
    raw.push_back(raw_us);
    ours.push_back(ours_us);
    hand_off.push_back(hand_off_us);
    naive.push_back(naive_us);
  }
  return {Median(raw), Median(ours), Median(hand_off), Median(naive), Median(tls)};
}

/// Our rate with two in flight as a share of raw TCP's: the median over the rounds.
double MeasurePipelinedShare(int tokens, const Effort& effort, const Peers& peers) {
  std::vector<double> shares;
  RawEchoClient raw_client(peers.raw.port(), RowBytes(tokens));
  const int count = 2 * effort.round_trips;
  double ours_rate = 0;
  for (int round = 0; round <= effort.rounds; ++round) {
    const double raw = Rate(count, [&] { raw_client.Pipeline(kBatch, 2); });
    ours_rate = Rate(count, [&] { peers.ours.Run(tokens, kBatch, 2); });
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

/// Both sides prove themselves with the same certificate.
rpc::Credentials MutualTls(const std::string& directory) {
  return {.kind = rpc::Credentials::Kind::kTls,
          .certificate_path = directory + "/cert.pem",
          .private_key_path = directory + "/key.pem",
          .root_certificates_path = directory + "/cert.pem"};
}

/// tls_directory: empty = without.
int Run(bool quick, const std::string& tls_directory, const std::string& naive_program) {
  // Children first: gRPC must not have started threads before a fork.
  int raw_port = 0;
  const ChildServer raw([&raw_port](int port_pipe, int) {
    StayOnCpu(1);
    const int listener = ListenOnLoopback(&raw_port);
    MOESAIC_CHECK(write(port_pipe, &raw_port, sizeof raw_port) == sizeof raw_port);
    ServeRawEcho(listener);
  });
  const ChildServer shard([](int port, int stop) {
    StayOnCpu(1);
    ServeDispatch(port, stop, {});
  });
  const ChildServer pooled(
      [](int port, int stop) { ServeDispatch(port, stop, {.hand_off = true}); });
  const rpc::Credentials tls_credentials =
      tls_directory.empty() ? rpc::Credentials() : MutualTls(tls_directory);
  std::optional<ChildServer> secured;
  if (!tls_directory.empty()) {
    secured.emplace([&tls_credentials](int port, int stop) {
      StayOnCpu(1);
      ServeDispatch(port, stop, {.credentials = tls_credentials});
    });
  }
  NaivePeer naive_server(naive_program, {"serve"});
  const auto naive_port = static_cast<int>(naive_server.ReadNumber());
  NaivePeer naive(naive_program, {"measure", std::to_string(naive_port)});
  StayOnCpu(0);  // after the last child has been started
  DispatchLoop ours(shard.port());
  DispatchLoop hand_off(pooled.port());
  std::optional<DispatchLoop> tls;
  if (secured) tls.emplace(secured->port(), tls_credentials);
  const Peers peers{raw, ours, hand_off, naive, tls ? &*tls : nullptr};
  const Effort effort = quick ? Effort{9, 1000, 200} : Effort{25, 4000, 800};

  std::printf(
      "round trip, us      raw TCP     ours  +pool  naive   ours/raw  naive/ours    mTLS\n");
  const auto measure = [&](int tokens) {
    const Latencies l = MeasureLatencies(tokens, effort, peers);
    std::printf("%2d x %d bf16      %8.1f %8.1f %6.1f %6.1f   %8.2f  %10.2f  %6.1f\n", tokens,
                kHidden, l.raw, l.ours, l.hand_off, l.naive, l.ours / l.raw, l.naive / l.ours,
                l.tls);
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
  moesaic::rpc::PrepareProcess();
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  bool quick = false;
  std::string tls_directory;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--quick") == 0) {
      quick = true;
    } else if (std::strcmp(argv[i], "--tls") == 0 && i + 1 < argc) {
      tls_directory = argv[++i];
    } else {
      std::fprintf(stderr, "usage: dispatch_bench [--quick] [--tls DIR]\n");
      return 2;
    }
  }
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  return moesaic::bench::Run(quick, tls_directory, self + "/naive_dispatch_peer");
}
