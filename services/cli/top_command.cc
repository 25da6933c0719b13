// moesaic top: the cluster at a glance, refreshed each second.

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "services/cli/commands.h"
#include "services/cli/coordinator_client.h"
#include "services/cli/top_view.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct TopFlags {
  CoordinatorAddressFlags address;
  bool once = false;
  double interval_s = 1;
};

/// The terminal without line editing and echo, on a screen of its own; put back at the end, also
/// when a signal ends the program. To be made before the process has other threads.
class TopTerminal {
 public:
  TopTerminal() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&ending, signal);
    ::pthread_sigmask(SIG_BLOCK, &ending, nullptr);
    signals_ = ::signalfd(-1, &ending, SFD_CLOEXEC);
    ::tcgetattr(STDIN_FILENO, &before_);
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    std::fputs("\033[?1049h\033[?25l", stdout);
  }
  ~TopTerminal() {
    std::fputs("\033[?25h\033[?1049l", stdout);
    std::fflush(stdout);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    if (signals_ >= 0) ::close(signals_);
  }
  TopTerminal(const TopTerminal&) = delete;
  TopTerminal& operator=(const TopTerminal&) = delete;

  /// Draws over what is there, without flicker: each line is cleared behind its end.
  void Show(const std::string& text) {
    std::fputs(
        absl::StrCat("\033[H", absl::StrReplaceAll(text, {{"\n", "\033[K\n"}}), "\033[J").c_str(),
        stdout);
    std::fflush(stdout);
  }

  /// Waits for the next picture. False when it is to end: q, Ctrl-C, or no terminal any more.
  bool Wait(double seconds) {
    pollfd waited[] = {{STDIN_FILENO, POLLIN, 0}, {signals_, POLLIN, 0}};
    const int ready = ::poll(waited, std::size(waited), static_cast<int>(seconds * 1000));
    if (ready <= 0) return true;
    if (waited[1].revents != 0) return false;
    char key = 0;
    if (::read(STDIN_FILENO, &key, 1) <= 0) return false;
    return key != 'q' && key != 'Q';
  }

 private:
  termios before_ = {};
  int signals_ = -1;
};

TopScreen ScreenOf(int fd) {
  winsize size = {};
  TopScreen screen;
  if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    screen.columns = size.ws_col;
    screen.rows = size.ws_row;
  }
  return screen;
}

/// For scripts and pipes: one picture without colours, as long as it takes.
int TopOnce(const std::string& coordinator) {
  const absl::StatusOr<v1::DescribeClusterResponse> cluster = DescribeCluster(coordinator);
  if (!cluster.ok()) return Fail("top", absl::StrCat("coordinator ", cluster.status().ToString()));
  std::fputs(DrawTop(*cluster, {.columns = 200, .rows = 0, .colour = false}).c_str(), stdout);
  return kExitOk;
}

int TopLive(const std::string& coordinator, double interval_s) {
  TopTerminal terminal;
  std::string last = "asking the coordinator\n";
  do {
    TopScreen screen = ScreenOf(STDOUT_FILENO);
    screen.colour = true;
    screen.rows = std::max(1, screen.rows - 2);  // one for the hint, one for the cursor
    const absl::StatusOr<v1::DescribeClusterResponse> cluster = DescribeCluster(coordinator);
    std::string hint = "q quits";
    if (cluster.ok()) {
      last = DrawTop(*cluster, screen);
    } else {
      hint = "the coordinator does not answer; this is what it said last. q quits";
    }
    terminal.Show(absl::StrCat(last, "\033[2m", hint, "\033[0m\n"));
  } while (terminal.Wait(interval_s));
  return kExitOk;
}

int Top(const TopFlags& flags) {
  const absl::StatusOr<std::string> coordinator = flags.address.Resolve();
  if (!coordinator.ok()) return Fail("top", std::string(coordinator.status().message()));
  if (flags.once || ::isatty(STDOUT_FILENO) == 0 || ::isatty(STDIN_FILENO) == 0) {
    return TopOnce(*coordinator);
  }
  return TopLive(*coordinator, flags.interval_s);
}

}  // namespace

void AddTopCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<TopFlags>();
  CLI::App* command = app.add_subcommand(
      "top", "Watch a cluster: health, speed, headroom, cost, shards, events; q quits");
  flags->address.Declare(*command);
  command->add_flag("--once", flags->once,
                    "Print one picture and end; so it is too when this is no terminal");
  command->add_option("--interval-s", flags->interval_s, "Seconds between two pictures")
      ->capture_default_str()
      ->check(CLI::Range(0.1, 3600.0));
  command->callback([flags, &run] { run = [flags] { return Top(*flags); }; });
}

}  // namespace moesaic::services
