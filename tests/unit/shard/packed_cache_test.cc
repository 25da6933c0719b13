#include "shard/packed_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "model/weights.h"
#include "shard/expert_store.h"
#include "tests/unit/shard/tiny_checkpoint.h"

namespace moesaic::shard {
namespace {

namespace fs = std::filesystem;
using placement::UnitKey;
using ::testing::HasSubstr;

constexpr std::uint64_t kPlenty = std::uint64_t{1} << 30;

class PackedCacheTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) /
              ("packed_cache." + std::to_string(::getpid()) + "." +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<PackedCache> Open(std::string identity = "a model",
                                    std::uint64_t max_bytes = kPlenty) {
    auto cache = PackedCache::Open(
        {.directory = folder_, .identity = std::move(identity), .max_bytes = max_bytes});
    EXPECT_TRUE(cache.ok()) << cache.status();
    return *std::move(cache);
  }

  /// Two experts of the tiny model's layer 1, and their shapes.
  std::shared_ptr<const std::vector<PackedExpert>> Experts(StorageRule rule) {
    auto experts = std::make_shared<std::vector<PackedExpert>>();
    shapes_.clear();
    for (std::uint32_t e = 0; e < 2; ++e) {
      const auto mlp =
          model::WeightMap(*checkpoint_).RoutedExpert(base::LayerId(1), base::ExpertId(e));
      EXPECT_TRUE(mlp.ok());
      auto packed = PackExpert(*checkpoint_, *mlp, rule, &pool_);
      EXPECT_TRUE(packed.ok());
      experts->push_back(*std::move(packed));
      shapes_.push_back(ShapeOf(*mlp, rule));
    }
    return experts;
  }

  static void Save(PackedCache& cache, const UnitKey& key,
                   const std::shared_ptr<const std::vector<PackedExpert>>& experts) {
    cache.Save(key, experts);
    cache.Flush();
  }

  std::vector<fs::path> Files() {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    return files;
  }

  absl::Status LoadStatus(const PackedCache& cache, const UnitKey& key) {
    return cache.Load(key, shapes_, pool_).status();
  }

  fs::path folder_;
  base::ComputePool pool_{2};
  std::unique_ptr<model::Checkpoint> checkpoint_ = OpenTinyCheckpoint();
  std::vector<PackedExpertShape> shapes_;
};

void ExpectSame(const std::vector<PackedExpert>& a, const std::vector<PackedExpert>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].gate_up.parts(), b[i].gate_up.parts());
    EXPECT_EQ(a[i].down.parts(), b[i].down.parts());
    EXPECT_EQ(a[i].gate_up.storage(), b[i].gate_up.storage());
  }
}

TEST_F(PackedCacheTest, GivesBackWhatWasSavedInEveryStorage) {
  const StorageRule rules[] = {{.compute = base::DType::kF32},
                               {.compute = base::DType::kBF16},
                               {.compute = base::DType::kBF16, .weight = base::DType::kI8}};
  int number = 0;
  for (const StorageRule& rule : rules) {
    const auto cache = Open("rule " + std::to_string(number++));
    const auto experts = Experts(rule);
    EXPECT_EQ(LoadStatus(*cache, Key(1, 0)).code(), absl::StatusCode::kNotFound);
    Save(*cache, Key(1, 0), experts);
    const auto loaded = cache->Load(Key(1, 0), shapes_, pool_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    ExpectSame(*loaded, *experts);
    EXPECT_EQ(LoadStatus(*cache, Key(1, 1)).code(), absl::StatusCode::kNotFound);
  }
  EXPECT_EQ(Files().size(), 3u);
}

TEST_F(PackedCacheTest, EveryDamageIsNoticedAndOverwritten) {
  const auto cache = Open();
  const auto experts = Experts({.compute = base::DType::kF32});
  Save(*cache, Key(1, 0), experts);
  const fs::path path = Files().at(0);
  const auto size = static_cast<std::int64_t>(fs::file_size(path));
  // The header, the checksums, the first and the last weights (the very last bytes are padding).
  for (const std::int64_t at :
       {std::int64_t{0}, std::int64_t{4096}, std::int64_t{8192}, size - 4096}) {
    {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekg(at);
      const char byte = static_cast<char>(file.get());
      file.seekp(at);
      file.put(static_cast<char>(byte ^ 0x10));
    }
    EXPECT_EQ(LoadStatus(*cache, Key(1, 0)).code(), absl::StatusCode::kDataLoss) << at;
    Save(*cache, Key(1, 0), experts);
    EXPECT_TRUE(LoadStatus(*cache, Key(1, 0)).ok()) << at;
  }
  for (const std::int64_t bytes : {std::int64_t{0}, std::int64_t{100}, size - 4096, size + 4096}) {
    fs::resize_file(path, bytes);
    EXPECT_EQ(LoadStatus(*cache, Key(1, 0)).code(), absl::StatusCode::kDataLoss) << bytes;
    Save(*cache, Key(1, 0), experts);
  }
}

TEST_F(PackedCacheTest, AFileThatDeniesItsLayoutIsNotUsed) {
  const auto cache = Open();
  const auto experts = Experts({.compute = base::DType::kBF16});
  Save(*cache, Key(1, 0), experts);
  const bool coded = experts->front().gate_up.coded();
  {
    std::fstream file(Files().at(0), std::ios::in | std::ios::out | std::ios::binary);
    std::string header(4096, '\0');
    file.read(header.data(), static_cast<std::streamsize>(header.size()));
    const std::size_t at = header.find(coded ? " coded\n" : " plain\n");
    ASSERT_NE(at, header.npos);
    file.seekp(static_cast<std::streamoff>(at));
    file << (coded ? " plain\n" : " coded\n");
  }
  EXPECT_EQ(LoadStatus(*cache, Key(1, 0)).code(), absl::StatusCode::kDataLoss);
  Save(*cache, Key(1, 0), experts);
  EXPECT_TRUE(LoadStatus(*cache, Key(1, 0)).ok());
}

TEST_F(PackedCacheTest, OthersFilesAreNotUsed) {
  const auto cache = Open();
  Save(*cache, Key(1, 0), Experts({.compute = base::DType::kF32}));
  EXPECT_EQ(LoadStatus(*Open("another model"), Key(1, 0)).code(), absl::StatusCode::kNotFound);
  // The same name, but not what it is read for.
  Experts({.compute = base::DType::kF32, .weight = base::DType::kI8});
  const absl::Status other = LoadStatus(*cache, Key(1, 0));
  EXPECT_EQ(other.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(other.message(), HasSubstr("something else"));
  Experts({.compute = base::DType::kF32});
  const fs::path file = Files().at(0);
  const std::string prefix = file.filename().string().substr(0, 9);
  fs::copy(file, folder_ / (prefix + "layer1-unit7.packed"));
  EXPECT_EQ(LoadStatus(*cache, Key(1, 7)).code(), absl::StatusCode::kDataLoss) << "another unit's";
}

TEST_F(PackedCacheTest, StaysWithinItsBytesAtTheCostOfOthers) {
  const auto experts = Experts({.compute = base::DType::kF32});
  Save(*Open("old"), Key(1, 0), experts);
  const std::uint64_t bytes = fs::file_size(Files().at(0));
  const auto cache = Open("new", 2 * bytes);
  Save(*cache, Key(1, 0), experts);
  EXPECT_EQ(Files().size(), 2u);
  Save(*cache, Key(1, 1), experts);
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_TRUE(LoadStatus(*cache, Key(1, 0)).ok());
  EXPECT_TRUE(LoadStatus(*cache, Key(1, 1)).ok());
  Save(*cache, Key(1, 2), experts);  // only its own are left, and stay
  EXPECT_EQ(Files().size(), 2u);
  EXPECT_EQ(LoadStatus(*cache, Key(1, 2)).code(), absl::StatusCode::kNotFound);
}

TEST_F(PackedCacheTest, AFullDiskIsNoFailure) {
  const auto cache = Open();
  const auto experts = Experts({.compute = base::DType::kF32});
  fs::remove_all(folder_);  // nothing can be written there any more, as on a full disk
  Save(*cache, Key(1, 0), experts);
  Save(*cache, Key(1, 1), experts);
  EXPECT_FALSE(LoadStatus(*cache, Key(1, 0)).ok());
}

TEST_F(PackedCacheTest, WhatInterruptedWritesLeftIsRemovedInTime) {
  fs::create_directories(folder_);
  for (const char* name : {"old.tmp", "new.tmp", "old.txt"}) std::ofstream(folder_ / name) << "x";
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(2);
  fs::last_write_time(folder_ / "old.tmp", long_ago);
  fs::last_write_time(folder_ / "old.txt", long_ago);
  Open();
  EXPECT_FALSE(fs::exists(folder_ / "old.tmp"));
  EXPECT_TRUE(fs::exists(folder_ / "new.tmp"));
  EXPECT_TRUE(fs::exists(folder_ / "old.txt"));
}

TEST_F(PackedCacheTest, AStoreStartsFromIt) {
  const ExpertStore::Options options = {.unit_size = 3,
                                        .memory_bytes = kPlenty,
                                        .compute_dtype = base::DType::kF32,
                                        .cache_dir = folder_,
                                        .fingerprint = "f"};
  const std::vector<UnitKey> units = {Key(1, 0), Key(2, 5), Key(3, 1)};
  auto first = ExpertStore::Create(*checkpoint_, options, pool_);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE((*first)->Load(units).ok());
  (*first)->FlushCache();
  EXPECT_EQ(Files().size(), units.size());
  auto second = ExpertStore::Create(*checkpoint_, options, pool_);
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE((*second)->Load(units).ok());
  for (const UnitKey& key : units) {
    const std::uint32_t number = (*first)->topology().NumberOf(key);
    ExpectSame((*second)->Current()->Find(number)->experts,
               (*first)->Current()->Find(number)->experts);
  }
  EXPECT_EQ((*second)->units_from_cache(), units.size());
  EXPECT_EQ((*first)->units_from_cache(), 0u);
}

}  // namespace
}  // namespace moesaic::shard
