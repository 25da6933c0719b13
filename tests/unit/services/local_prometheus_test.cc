#include "services/cli/local_prometheus.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "services/program_files.h"

namespace moesaic::services {
namespace {

class LocalPrometheusTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "/prometheus_XXXXXX";
    ASSERT_NE(::mkdtemp(folder_.data()), nullptr);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string folder_;
};

Supervisor::Child ServingChild(const std::string& name, const std::string& http) {
  Supervisor::Child child;
  child.spec.name = name;
  child.pid = 7;
  child.served = true;
  child.addresses = {{"grpc", "127.0.0.1:1"}};
  if (!http.empty()) child.addresses.emplace_back("http", http);
  return child;
}

TEST_F(LocalPrometheusTest, TargetsAreTheChildrenThatHaveAnAddressAndStay) {
  std::list<Supervisor::Child> children;
  children.push_back(ServingChild("prometheus", "127.0.0.1:9"));
  children.push_back(ServingChild("coordinator", "127.0.0.1:10"));
  children.push_back(ServingChild("shard-1", "127.0.0.1:11"));
  children.back().pid = 0;  // it died, and will be started again
  children.push_back(ServingChild("shard-2", "127.0.0.1:12"));
  children.back().leaving = true;
  children.push_back(ServingChild("shard-3", ""));
  const nlohmann::json targets = nlohmann::json::parse(PrometheusTargets(children));
  ASSERT_EQ(targets.size(), 2u);
  EXPECT_EQ(targets[0]["targets"], nlohmann::json::array({"127.0.0.1:10"}));
  EXPECT_EQ(targets[0]["labels"]["role"], "coordinator");
  EXPECT_EQ(
      targets[1]["labels"],
      nlohmann::json(
          {{"job", "moesaic"}, {"cluster", "local"}, {"role", "shard"}, {"name", "shard-1"}}));
  EXPECT_EQ(nlohmann::json::parse(PrometheusTargets({})), nlohmann::json::array());
}

TEST_F(LocalPrometheusTest, FindsTheProgramThatIsAskedFor) {
  const std::string program = folder_ + "/prometheus";
  EXPECT_EQ(*FindPrometheus("off"), "");
  EXPECT_EQ(FindPrometheus(program).status().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(base::WriteFileAtomically(program, "#!/bin/sh\n").ok());
  ::chmod(program.c_str(), 0644);
  EXPECT_FALSE(FindPrometheus(program).ok());
  ::chmod(program.c_str(), 0755);
  EXPECT_EQ(*FindPrometheus(program), program);
  EXPECT_FALSE(FindPrometheus(folder_).ok());

  const std::string before = std::getenv("PATH");
  ::setenv("PATH", ("/nonexistent:.:" + folder_).c_str(), 1);
  EXPECT_EQ(*FindPrometheus("auto"), program);
  ::setenv("PATH", "/nonexistent", 1);
  EXPECT_EQ(*FindPrometheus("auto"), "");
  ::setenv("PATH", before.c_str(), 1);
}

TEST_F(LocalPrometheusTest, StartsWithTheRulesAndIsStartedAgainOnItsPort) {
  LocalPrometheusOptions options;
  options.program = "/bin/echo";
  options.state_dir = folder_;
  options.share_dir = folder_ + "/no \"share\"";
  Supervisor supervisor(absl::Milliseconds(1));
  ASSERT_TRUE(base::MakeDirectory(folder_ + "/logs").ok());
  EXPECT_EQ(StartPrometheus(options, supervisor).code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE(base::MakeDirectory(options.share_dir + "/rules").ok());
  ASSERT_TRUE(StartPrometheus(options, supervisor).ok());
  const Supervisor::Child* child = supervisor.Find("prometheus");
  ASSERT_NE(child, nullptr);
  const std::string address = child->Address("http");
  EXPECT_TRUE(address.starts_with("127.0.0.1:")) << address;
  const pid_t first = child->pid;
  for (int i = 0; i < 2000 && (child->pid == first || child->pid == 0); ++i) {
    ASSERT_TRUE(supervisor.Poll().ok());
    ::usleep(5000);
  }
  EXPECT_NE(child->pid, first);
  EXPECT_EQ(child->Address("http"), address);
  const std::string text = *base::ReadFile(folder_ + "/prometheus/prometheus.yml", 1 << 20);
  EXPECT_EQ(nlohmann::json::parse(text)["rule_files"][0], options.share_dir + "/rules/*.yml");
  const std::string log = *base::ReadFile(folder_ + "/logs/prometheus.log", 1 << 20);
  EXPECT_NE(log.find("--web.listen-address=" + address), std::string::npos) << log;
  EXPECT_EQ(log.find("--address-file"), std::string::npos) << log;
}

TEST(ProgramFilesTest, WithoutAnInstallationTheSourcesAreUsed) {
  EXPECT_TRUE(std::filesystem::is_directory(DefaultShareDir() + "/rules")) << DefaultShareDir();
}

}  // namespace
}  // namespace moesaic::services
