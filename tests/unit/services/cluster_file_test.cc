#include "services/cli/cluster_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace moesaic::services {
namespace {

TEST(ClusterFileTest, DamagedFilesAreDataLoss) {
  std::string folder = testing::TempDir() + "/cluster_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  for (const char* text : {"", "{", "[]", "{}", R"({"http": 1, "coordinator": "x"})"}) {
    ASSERT_TRUE(base::WriteFileAtomically(folder + "/cluster.json", text).ok());
    EXPECT_EQ(ReadClusterFile(folder).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  std::filesystem::remove_all(folder);
}

TEST(ClusterFileTest, WantedShardsAreRememberedAndChecked) {
  std::string folder = testing::TempDir() + "/wanted_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_EQ(ReadWantedShards(folder).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(WriteWantedShards(folder, 7).ok());
  EXPECT_EQ(*ReadWantedShards(folder), 7);
  for (const char* text :
       {"", "[]", R"({"shards": 0})", R"({"shards": 257})", R"({"shards": "2"})"}) {
    ASSERT_TRUE(base::WriteFileAtomically(folder + "/wanted.json", text).ok());
    EXPECT_EQ(ReadWantedShards(folder).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  std::filesystem::remove_all(folder);
}

TEST(ClusterFileTest, TheDefaultFolderIsTheUsers) {
  ::setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
  EXPECT_EQ(DefaultStateDir(), "/run/user/7/moesaic");
  ::unsetenv("XDG_RUNTIME_DIR");
  EXPECT_EQ(DefaultStateDir(), "/tmp/moesaic-" + std::to_string(::getuid()));
}

}  // namespace
}  // namespace moesaic::services
