#include "services/cli/supervisor.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "services/cli/child_process.h"

namespace moesaic::services {
namespace {

constexpr std::size_t kMaxAddressFileBytes = 64 << 10;

/// The last lines of a log, for an error message.
std::string LogTail(const std::string& path) {
  constexpr std::size_t kLines = 8;
  std::ifstream log(path);
  std::deque<std::string> lines;
  for (std::string line; std::getline(log, line);) {
    lines.push_back(std::move(line));
    if (lines.size() > kLines) lines.pop_front();
  }
  return absl::StrJoin(lines, "\n");
}

}  // namespace

std::string Supervisor::Child::Address(const std::string& kind) const {
  for (const auto& [k, address] : addresses) {
    if (k == kind) return address;
  }
  return "";
}

Supervisor::~Supervisor() { StopAll(absl::Seconds(5)); }

absl::StatusOr<Supervisor::Child*> Supervisor::Start(ChildSpec spec) {
  children_.push_back(Child{});
  children_.back().spec = std::move(spec);
  MOESAIC_RETURN_IF_ERROR(Spawn(children_.back()));
  return &children_.back();
}

absl::Status Supervisor::Spawn(Child& child) {
  std::vector<std::string> arguments = child.spec.arguments;
  if (!child.spec.address_path.empty()) {
    arguments.push_back("--address-file=" + child.spec.address_path);
  }
  for (const auto& [kind, flag] : child.spec.address_flags) {
    // The last of a repeated flag counts: from the second start on it is the port held before.
    if (child.served) arguments.push_back(absl::StrCat(flag, "=", child.Address(kind)));
  }
  child.restart_at.reset();
  ++changes_;
  MOESAIC_ASSIGN_OR_RETURN(child.pid, SpawnChild(arguments, child.spec.log_path));
  return absl::OkStatus();
}

absl::Status Supervisor::Poll() {
  int wait_status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &wait_status, WNOHANG)) > 0;) {
    auto dead = std::find_if(children_.begin(), children_.end(),
                             [pid](const Child& child) { return child.pid == pid; });
    if (dead != children_.end()) MOESAIC_RETURN_IF_ERROR(NoticeDeath(*dead, wait_status));
  }
  std::erase_if(children_, [](const Child& child) { return child.leaving && child.pid == 0; });
  const absl::Duration now = base::Clock::Real().Monotonic();
  for (Child& child : children_) {
    if (child.pid != 0 && !child.served) NoticeAddresses(child);
    if (child.restart_at && *child.restart_at <= now) {
      base::LogInfo("starting ", child.spec.name, " again");
      MOESAIC_RETURN_IF_ERROR(Spawn(child));
    }
  }
  return absl::OkStatus();
}

absl::Status Supervisor::NoticeDeath(Child& child, int wait_status) {
  NoticeAddresses(child);
  child.pid = 0;
  ++changes_;
  const std::string how = DescribeExit(wait_status);
  if (child.leaving) {
    base::LogInfo(child.spec.name, " has left (", how, ")");
    return absl::OkStatus();
  }
  if (!child.served && child.spec.must_start) {
    return absl::FailedPreconditionError(absl::StrCat(child.spec.name, " did not start (", how,
                                                      "):\n", LogTail(child.spec.log_path)));
  }
  base::LogWarning(child.spec.name, " ended with ", how, "; starting it again in ",
                   absl::FormatDuration(restart_delay_));
  child.restart_at = base::Clock::Real().Monotonic() + restart_delay_;
  return absl::OkStatus();
}

void Supervisor::NoticeAddresses(Child& child) {
  if (child.served) return;
  absl::StatusOr<std::string> text = base::ReadFile(child.spec.address_path, kMaxAddressFileBytes);
  if (!text.ok()) return;  // not yet
  const nlohmann::json addresses = nlohmann::json::parse(*text, nullptr, false);
  if (!addresses.is_object()) return;
  for (const auto& [kind, address] : addresses.items()) {
    if (address.is_string()) child.addresses.emplace_back(kind, address.get<std::string>());
  }
  child.served = true;
  ++changes_;
}

const Supervisor::Child* Supervisor::Find(const std::string& name) const {
  for (const Child& child : children_) {
    if (child.spec.name == name) return &child;
  }
  return nullptr;
}

void Supervisor::Dismiss(Child& child) {
  child.leaving = true;
  child.restart_at.reset();
  ++changes_;
  if (child.pid != 0) ::kill(child.pid, SIGTERM);
}

void Supervisor::StopAll(absl::Duration grace) {
  const absl::Duration until = base::Clock::Real().Monotonic() + grace;
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    child->restart_at.reset();
    if (child->pid != 0) ::kill(child->pid, SIGTERM);
  }
  for (auto child = children_.rbegin(); child != children_.rend(); ++child) {
    if (child->pid == 0) continue;
    while (::waitpid(child->pid, nullptr, WNOHANG) == 0) {
      if (base::Clock::Real().Monotonic() >= until) {
        base::LogWarning(child->spec.name, " did not stop in time; killing it");
        ::kill(child->pid, SIGKILL);
        ::waitpid(child->pid, nullptr, 0);
        break;
      }
      absl::SleepFor(absl::Milliseconds(10));
    }
    child->pid = 0;
  }
}

}  // namespace moesaic::services
