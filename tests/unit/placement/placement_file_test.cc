#include "placement/view/placement_file.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/placement/placement_fixture.h"

namespace moesaic::placement {
namespace {

using ::testing::HasSubstr;

TEST(PlacementFile, RemembersAndNoticesDamage) {
  const std::string path =
      ::testing::TempDir() + "/placement_file_test." + std::to_string(::getpid());
  EXPECT_EQ(LoadPlacement(path).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SavePlacement(path, *TestMap({7, 8})).ok());
  const auto loaded = LoadPlacement(path);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ((*loaded)->epoch(), (base::PlacementEpoch{7, 8}));

  // No prefix of the file is a crash, nor a placement that lacks something.
  const std::string whole = *base::ReadFile(path, 1 << 20);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, length);
    const auto damaged = LoadPlacement(path);
    if (damaged.ok()) {  // only the count of replicas, which comes last, can be missing
      EXPECT_TRUE((*damaged)->SameContent([] {
        PlacementMap::Parts parts = TestParts({7, 8});
        parts.replicas_wanted = 0;
        return parts;
      }()));
      continue;
    }
    EXPECT_EQ(damaged.status().code(), absl::StatusCode::kDataLoss) << length;
    EXPECT_THAT(damaged.status().message(), HasSubstr(path));
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace moesaic::placement
