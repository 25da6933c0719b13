#include "shard/assignment_file.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::shard {
namespace {

using ::testing::HasSubstr;

class AssignmentFileTest : public ::testing::Test {
 protected:
  ~AssignmentFileTest() override { std::filesystem::remove(path_); }

  const std::string path_ =
      ::testing::TempDir() + "/assignment_file_test." + std::to_string(::getpid());
  const placement::ModelIdentity model_{.model_id = "m",
                                        .model_fingerprint = "f",
                                        .numerics_id = "n",
                                        .hidden_size = 8,
                                        .unit_size = 1};
  const placement::ExpertTopology topology_{.moe_layers = {base::LayerId(0), base::LayerId(1)},
                                            .experts_per_layer = 4,
                                            .unit_size = 1,
                                            .unit_bytes = 10};
  const Assignment assignment_{.model = model_,
                               .epoch = {.term = 3, .version = 9},
                               .units = {{base::LayerId(0), base::UnitId(2)},
                                         {base::LayerId(1), base::UnitId(0)},
                                         {base::LayerId(1), base::UnitId(3)}}};
};

TEST_F(AssignmentFileTest, RemembersWhatWasSaved) {
  EXPECT_EQ(LoadAssignment(path_, model_, topology_).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(SaveAssignment(path_, assignment_).ok());
  const auto loaded = LoadAssignment(path_, model_, topology_);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->epoch, assignment_.epoch);
  EXPECT_EQ(loaded->units, assignment_.units);
}

TEST_F(AssignmentFileTest, IsNotForAnotherModel) {
  ASSERT_TRUE(SaveAssignment(path_, assignment_).ok());
  placement::ModelIdentity other = model_;
  other.model_fingerprint = "g";
  const absl::Status refused = LoadAssignment(path_, other, topology_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("ours is 'g', theirs is 'f'"));
}

TEST_F(AssignmentFileTest, EveryTruncationIsAnErrorThatNamesTheFile) {
  ASSERT_TRUE(SaveAssignment(path_, assignment_).ok());
  const std::string whole = *base::ReadFile(path_, 1 << 20);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path_, std::ios::binary) << whole.substr(0, length);
    const absl::Status damaged = LoadAssignment(path_, model_, topology_).status();
    EXPECT_FALSE(damaged.ok()) << length;
    EXPECT_THAT(damaged.message(), HasSubstr(path_));
  }
}

TEST_F(AssignmentFileTest, RefusesUnitsTheModelLacks) {
  Assignment wrong = assignment_;
  wrong.units = {{base::LayerId(7), base::UnitId(0)}};
  ASSERT_TRUE(SaveAssignment(path_, wrong).ok());
  const absl::Status refused = LoadAssignment(path_, model_, topology_).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(refused.message(), HasSubstr("layer 7"));
}

}  // namespace
}  // namespace moesaic::shard
