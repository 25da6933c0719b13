#include "model/fingerprint.h"

#include <fstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/unit/model/checkpoint_files.h"

namespace moesaic::model {
namespace {

using moesaic::testing::TempDir;
using moesaic::testing::TensorSpec;

std::string FingerprintOf(const TempDir& dir) {
  const auto checkpoint = Checkpoint::Open(dir.path());
  EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto fingerprint = Fingerprint(**checkpoint);
  EXPECT_TRUE(fingerprint.ok()) << fingerprint.status();
  return fingerprint.value_or("");
}

void FlipByte(const std::string& path, std::streamoff position) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekg(position);
  const char byte = static_cast<char>(file.get() ^ 1);
  file.seekp(position);
  file.put(byte);
}

TEST(FingerprintTest, PinnedForASmallCheckpoint) {
  const TempDir dir;
  moesaic::testing::WriteSmallOlmoe(dir);
  // A change here makes clusters of old and new builds refuse each other.
  EXPECT_EQ(FingerprintOf(dir), "79a4ae407f326cc7c9ad6e9a9dbae663320cc15be76cc2763594143250594fc9");
}

TEST(FingerprintTest, SameContentElsewhereIsTheSame) {
  const TempDir one, other;
  moesaic::testing::WriteSmallOlmoe(one);
  moesaic::testing::WriteSmallOlmoe(other);
  EXPECT_EQ(FingerprintOf(one), FingerprintOf(other));
}

TEST(FingerprintTest, SeesConfigHeadersAndBothEndsOfATensor) {
  const TempDir dir;
  dir.Write("config.json", moesaic::testing::SmallOlmoeConfig());
  const std::vector<TensorSpec> tensors = {{"big", "F32", {5000}}, {"small", "F32", {2}}};
  const std::string bytes = moesaic::testing::Safetensors(tensors);
  const std::string path = dir.Write("model.safetensors", bytes);
  const auto data = static_cast<std::streamoff>(bytes.size() - 5002 * 4);
  const std::string original = FingerprintOf(dir);
  for (const std::streamoff position :
       {data, data + 4095, data + 20000 - 4096, data + 19999, data + 20000, data + 20007}) {
    FlipByte(path, position);
    EXPECT_NE(FingerprintOf(dir), original) << position;
    FlipByte(path, position);
  }
  FlipByte(path, data + 10000);
  EXPECT_EQ(FingerprintOf(dir), original) << "the middle of a large tensor is not read";

  dir.Write("model.safetensors",
            moesaic::testing::Safetensors({{"big", "F32", {5000}}, {"other", "F32", {2}}}));
  EXPECT_NE(FingerprintOf(dir), original);
  dir.Write("model.safetensors", bytes);
  EXPECT_EQ(FingerprintOf(dir), original);
  dir.Write("config.json", moesaic::testing::SmallOlmoeConfig() + "\n");
  EXPECT_NE(FingerprintOf(dir), original);
}

}  // namespace
}  // namespace moesaic::model
