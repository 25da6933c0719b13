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

TEST(ClusterFileTest, ProcessesAreFoundByName) {
  std::string folder = testing::TempDir() + "/process_XXXXXX";
  ASSERT_NE(::mkdtemp(folder.data()), nullptr);
  EXPECT_EQ(ProcessUrl(folder, "shard-1").status().code(), absl::StatusCode::kNotFound);
  const std::string head = R"({"http": "http://h:1", "coordinator": "c:2", "pid": 3)";
  ASSERT_TRUE(base::WriteFileAtomically(
                  folder + "/cluster.json",
                  head + R"(, "children": [{"name": "shard-1", "http": "127.0.0.1:7"}, 5,
                            {"name": "shard-2"}, {"name": "shard-3", "http": 9}]})")
                  .ok());
  EXPECT_EQ(*ProcessUrl(folder, "shard-1"), "http://127.0.0.1:7");
  for (const char* name : {"shard-2", "shard-3", "", "nobody"}) {
    const absl::Status status = ProcessUrl(folder, name).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << name;
    EXPECT_NE(status.message().find("shard-1"), absl::string_view::npos) << name;
  }
  ASSERT_TRUE(base::WriteFileAtomically(folder + "/cluster.json", head + "}").ok());
  EXPECT_EQ(ProcessUrl(folder, "shard-1").status().code(), absl::StatusCode::kNotFound);
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
