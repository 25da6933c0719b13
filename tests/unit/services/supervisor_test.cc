#include "services/cli/supervisor.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "absl/time/clock.h"
#include "services/cli/cluster_file.h"

namespace moesaic::services {
namespace {

class SupervisorTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/supervisor_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  /// A child that writes its address file and then runs `script`.
  ChildSpec Spec(const std::string& script) {
    ChildSpec spec;
    spec.name = "child";
    spec.address_path = folder_ + "/child.json";
    spec.log_path = folder_ + "/child.log";
    // The supervisor appends --address-file=…, which sh gives the script as $1.
    spec.arguments = {"/bin/sh", "-c", script, "child"};
    return spec;
  }

  static absl::Status PollUntil(Supervisor& supervisor, const std::function<bool()>& done) {
    for (int i = 0; i < 2000; ++i) {
      if (absl::Status polled = supervisor.Poll(); !polled.ok()) return polled;
      if (done()) return absl::OkStatus();
      absl::SleepFor(absl::Milliseconds(5));
    }
    return absl::DeadlineExceededError("not within 10 s");
  }

  const std::string serve_ = R"(echo '{"grpc": "127.0.0.1:7"}' > ${1#--address-file=}; )";
  std::string folder_;
};

TEST_F(SupervisorTest, ADismissedChildEndsAndIsForgotten) {
  Supervisor supervisor(absl::Milliseconds(10));
  Supervisor::Child* child = supervisor.Start(Spec(serve_ + "exec sleep 60")).value();
  ASSERT_TRUE(PollUntil(supervisor, [&] { return child->served; }).ok());
  EXPECT_EQ(supervisor.Find("child"), child);
  supervisor.Dismiss(*child);
  ASSERT_TRUE(PollUntil(supervisor, [&] { return supervisor.children().empty(); }).ok());
  EXPECT_EQ(supervisor.Find("child"), nullptr);
}

TEST_F(SupervisorTest, AChildThatNeedNotStartIsTriedAgain) {
  Supervisor supervisor(absl::Milliseconds(10));
  ChildSpec spec = Spec("exit 3");
  spec.must_start = false;
  const Supervisor::Child* child = supervisor.Start(std::move(spec)).value();
  const pid_t first = child->pid;
  EXPECT_TRUE(PollUntil(supervisor, [&] { return child->pid != 0 && child->pid != first; }).ok());
}

TEST_F(SupervisorTest, StartsADeadChildAgainOnTheSameAddress) {
  Supervisor supervisor(absl::Milliseconds(10));
  ChildSpec spec = Spec(serve_ + "echo \"$@\"; sleep 60");
  spec.address_flags = {{"grpc", "--listen"}};
  Supervisor::Child* child = supervisor.Start(std::move(spec)).value();
  ASSERT_TRUE(PollUntil(supervisor, [&] { return child->served; }).ok());
  EXPECT_EQ(child->Address("grpc"), "127.0.0.1:7");
  EXPECT_EQ(child->Address("http"), "");
  const pid_t first = child->pid;
  ::kill(first, SIGKILL);
  ASSERT_TRUE(PollUntil(supervisor, [&] { return child->pid != 0 && child->pid != first; }).ok());
  EXPECT_NE(supervisor.children().front().pid, first);
  supervisor.StopAll(absl::Seconds(5));
  EXPECT_EQ(::kill(first, 0), -1);
}

TEST_F(SupervisorTest, AChildThatNeverServedEndsTheStart) {
  Supervisor supervisor(absl::Milliseconds(10));
  ASSERT_TRUE(supervisor.Start(Spec("echo the reason; exit 2")).ok());
  const absl::Status polled = PollUntil(supervisor, [] { return false; });
  EXPECT_EQ(polled.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(polled.message().find("the reason"), absl::string_view::npos);
  EXPECT_NE(polled.message().find("exit code 2"), absl::string_view::npos);
}

TEST_F(SupervisorTest, KillsWhatDoesNotStop) {
  Supervisor supervisor(absl::Seconds(1));
  Supervisor::Child* child =
      supervisor.Start(Spec("trap '' TERM; " + serve_ + "while :; do sleep 0.1; done")).value();
  ASSERT_TRUE(PollUntil(supervisor, [&] { return child->served; }).ok());
  const pid_t pid = child->pid;
  supervisor.StopAll(absl::Milliseconds(50));
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST_F(SupervisorTest, TheClusterFileTellsOthersWhereItIs) {
  Supervisor supervisor(absl::Seconds(1));
  EXPECT_EQ(ReadClusterFile(folder_).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteClusterFile(folder_, {"http://127.0.0.1:1", "127.0.0.1:2", 1, "", "sqlite:/l"},
                               supervisor)
                  .ok());
  EXPECT_EQ(ReadClusterFile(folder_)->http_url, "http://127.0.0.1:1");
  EXPECT_EQ(ReadClusterFile(folder_)->coordinator_address, "127.0.0.1:2");
  EXPECT_EQ(ReadClusterFile(folder_)->ledger, "sqlite:/l");
}

}  // namespace
}  // namespace moesaic::services
