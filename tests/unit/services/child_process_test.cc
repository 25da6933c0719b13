#include "services/cli/child_process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/file.h"

namespace moesaic::services {
namespace {

int WaitFor(pid_t pid) {
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return status;
}

TEST(ChildProcessTest, RunsInASessionOfItsOwnAndLogs) {
  const std::string log = testing::TempDir() + "/child.log";
  ::unlink(log.c_str());
  const auto pid = SpawnChild({"/bin/sh", "-c", "echo out; echo err >&2; ps -o sid= -p $$"}, log);
  ASSERT_TRUE(pid.ok());
  EXPECT_EQ(DescribeExit(WaitFor(*pid)), "exit code 0");
  const std::string text = base::ReadFile(log, 1000).value();
  EXPECT_EQ(text.substr(0, 8), "out\nerr\n");
}

TEST(ChildProcessTest, DescribesHowItEnded) {
  const std::string log = testing::TempDir() + "/child.log";
  EXPECT_EQ(DescribeExit(WaitFor(SpawnChild({"/bin/sh", "-c", "exit 3"}, log).value())),
            "exit code 3");
  EXPECT_EQ(DescribeExit(WaitFor(SpawnChild({"/bin/sh", "-c", "kill -9 $$"}, log).value())),
            "signal 9 (Killed)");
  EXPECT_EQ(DescribeExit(WaitFor(SpawnChild({"/no/such/program"}, log).value())), "exit code 127");
}

TEST(ChildProcessTest, NamesALogItCannotOpen) {
  const auto pid = SpawnChild({"/bin/true"}, "/no/such/folder/log");
  EXPECT_NE(pid.status().message().find("/no/such/folder/log"), absl::string_view::npos);
}

}  // namespace
}  // namespace moesaic::services
