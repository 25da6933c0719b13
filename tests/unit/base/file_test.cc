#include "base/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace moesaic::base {
namespace {

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/moesaic_file_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  std::string folder_;
};

TEST_F(FileTest, WritesAndReadsBack) {
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "one").ok());
  ASSERT_TRUE(WriteFileAtomically(Path("a"), "two").ok());
  EXPECT_EQ(ReadFile(Path("a"), 100).value(), "two");
  // Nothing but the file is left behind.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, ErrorsNameThePath) {
  const absl::Status missing = ReadFile(Path("none"), 100).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("none"), absl::string_view::npos);
  ASSERT_TRUE(WriteFileAtomically(Path("big"), std::string(101, 'x')).ok());
  EXPECT_EQ(ReadFile(Path("big"), 100).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(ReadFile(folder_, 100).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(WriteFileAtomically(Path("no/such/folder"), "x").ok());
}

TEST_F(FileTest, MakesFolders) {
  EXPECT_TRUE(MakeDirectory(Path("a/b/c")).ok());
  EXPECT_TRUE(MakeDirectory(Path("a/b/c")).ok());
  ASSERT_TRUE(WriteFileAtomically(Path("file"), "x").ok());
  EXPECT_NE(MakeDirectory(Path("file/d")).message().find("file/d"), absl::string_view::npos);
}

TEST_F(FileTest, MapsFiles) {
  ASSERT_TRUE(WriteFileAtomically(Path("m"), "mapped").ok());
  auto mapped = MappedFile::Open(Path("m"));
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped->bytes().size(), 6u);
  EXPECT_EQ(mapped->bytes()[0], std::byte{'m'});
  MappedFile moved = *std::move(mapped);
  EXPECT_EQ(moved.bytes().size(), 6u);

  std::byte read[3];
  ASSERT_TRUE(moved.Read(moved.bytes().subspan(2, 3), read).ok());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(read), 3), "ppe");
  std::filesystem::resize_file(Path("m"), 3);
  const absl::Status shrunk = moved.Read(moved.bytes().subspan(2, 3), read);
  EXPECT_EQ(shrunk.code(), absl::StatusCode::kDataLoss) << "and no signal";
  EXPECT_NE(shrunk.message().find(Path("m")), absl::string_view::npos);

  ASSERT_TRUE(WriteFileAtomically(Path("empty"), "").ok());
  EXPECT_TRUE(MappedFile::Open(Path("empty"))->bytes().empty());
  EXPECT_EQ(MappedFile::Open(Path("none")).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace moesaic::base
