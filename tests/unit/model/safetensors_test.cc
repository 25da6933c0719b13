#include "model/safetensors.h"

#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/model/checkpoint_files.h"

namespace moesaic::model {
namespace {

using moesaic::testing::Padded;
using moesaic::testing::RawSafetensors;
using moesaic::testing::Safetensors;
using moesaic::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const char* const kTwoTensors = R"({"b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
  "a": {"dtype": "U8", "shape": [1, 3], "data_offsets": [8, 11]}} )";

TEST(SafetensorsTest, ReadsTensorsInOrderOfTheirData) {
  const TempDir dir;
  const std::string data(
      "\0\0\x80\x3f\0\0\0\x40"
      "abc",
      11);
  const auto file =
      SafetensorsFile::Open(dir.Write("x.safetensors", RawSafetensors(kTwoTensors, data)));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(file->tensors()[1].name, "a");
  EXPECT_THAT(file->tensors()[1].shape, ElementsAre(1, 3));
  const auto view = file->View(*file->Find("b"));
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->dtype, base::DType::kF32);
  EXPECT_EQ(view->As<float>()[0], 1.0f);
  EXPECT_EQ(view->As<float>()[1], 2.0f);
  EXPECT_EQ(file->Find("c"), nullptr);
  EXPECT_EQ(file->header(), kTwoTensors);
}

TEST(SafetensorsTest, ScalarsEmptyTensorsMetadataAndPaddingAreLegal) {
  const TempDir dir;
  const std::string header = R"({"__metadata__": {"format": "pt"},
    "z": {"dtype": "BF16", "shape": [0, 7], "data_offsets": [0, 0]},
    "s": {"dtype": "I64", "shape": [], "data_offsets": [0, 8]},
    "e": {"dtype": "F32", "shape": [4, 0], "data_offsets": [8, 8]}})";
  const auto file = SafetensorsFile::Open(
      dir.Write("x.safetensors", RawSafetensors(Padded(header), std::string(8, '\1'))));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->View(*file->Find("s"))->elements(), 1);
  EXPECT_EQ(file->View(*file->Find("z"))->elements(), 0);
}

TEST(SafetensorsTest, NoTensorsAtAllIsLegal) {
  const TempDir dir;
  EXPECT_TRUE(SafetensorsFile::Open(dir.Write("x.safetensors", RawSafetensors("{}", ""))).ok());
}

TEST(SafetensorsTest, LegalButUnsupportedElementTypesFailOnlyWhenViewed) {
  const TempDir dir;
  const auto file = SafetensorsFile::Open(
      dir.Write("x.safetensors",
                RawSafetensors(R"({"d": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}})",
                               std::string(8, '\0'))));
  ASSERT_TRUE(file.ok()) << file.status();
  const absl::Status status = file->View(*file->Find("d")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("F64"));
}

TEST(SafetensorsTest, MisalignedDataFailOnlyWhenViewed) {
  const TempDir dir;
  const auto file = SafetensorsFile::Open(dir.Write(
      "x.safetensors",
      RawSafetensors(Padded(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                                   "b": {"dtype": "F32", "shape": [1], "data_offsets": [1, 5]}})"),
                     std::string(5, '\0'))));
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->View(*file->Find("a")).ok());
  const absl::Status status = file->View(*file->Find("b")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), HasSubstr("'b': its data are not aligned"));
}

struct BadFile {
  const char* why;
  std::string bytes;
  const char* says;
};

std::string Entry(const std::string& fields, std::size_t data_bytes) {
  return RawSafetensors("{\"t\": {" + fields + "}}", std::string(data_bytes, '\0'));
}

std::vector<BadFile> BadFiles() {
  const std::string huge_length = std::string(7, '\xff') + '\x7f' + "{}";
  const std::string over_limit = std::string("\x01\xe1\xf5\x05\0\0\0\0", 8) + "{}";
  return {
      {"length above any file", huge_length, "limit"},
      {"length above the limit", over_limit, "limit"},
      {"length beyond the file", std::string("\x09\0\0\0\0\0\0\0{}", 10), "does not fit"},
      {"no object", RawSafetensors("[]", ""), "begin with"},
      {"white space first", RawSafetensors(" {}", ""), "begin with"},
      {"not JSON", RawSafetensors("{\"t\"", ""), "JSON"},
      {"text after the object", RawSafetensors("{}x", ""), "JSON"},
      {"not UTF-8", RawSafetensors("{\"\xff\": {}}", ""), "JSON"},
      {"tensor no object", RawSafetensors(R"({"t": 3})", ""), "'t'"},
      {"tensor null", RawSafetensors(R"({"t": null})", ""), "'t'"},
      {"nested deep", RawSafetensors(R"({"t": {"shape": [[[)" + std::string(100000, '['), ""),
       "'t'"},
      {"empty tensor entry", RawSafetensors(R"({"t": {}})", ""), "dtype: missing"},
      {"dtype missing", Entry(R"("shape": [1], "data_offsets": [0, 1])", 1), "dtype: missing"},
      {"shape missing", Entry(R"("dtype": "U8", "data_offsets": [0, 1])", 1), "shape: missing"},
      {"offsets missing", Entry(R"("dtype": "U8", "shape": [1])", 1), "data_offsets"},
      {"one offset", Entry(R"("dtype": "U8", "shape": [1], "data_offsets": [0])", 1),
       "data_offsets"},
      {"three offsets", Entry(R"("dtype": "U8", "shape": [1], "data_offsets": [0, 1, 2])", 1),
       "data_offsets"},
      {"unknown key", Entry(R"("dtype": "U8", "shape": [1], "offsets": [0, 1])", 1), "offsets"},
      {"key twice",
       Entry(R"("dtype": "U8", "dtype": "U8", "shape": [1], "data_offsets": [0, 1])", 1), "twice"},
      {"unknown dtype", Entry(R"("dtype": "F12", "shape": [1], "data_offsets": [0, 1])", 1), "F12"},
      {"dtype no string", Entry(R"("dtype": 4, "shape": [1], "data_offsets": [0, 1])", 1), "dtype"},
      {"negative size", Entry(R"("dtype": "U8", "shape": [-1], "data_offsets": [0, 1])", 1),
       "negative"},
      {"fractional size", Entry(R"("dtype": "U8", "shape": [1.5], "data_offsets": [0, 1])", 1),
       "fraction"},
      {"size above 63 bits",
       Entry(R"("dtype": "U8", "shape": [18446744073709551615], "data_offsets": [0, 1])", 1),
       "too large"},
      {"size above 64 bits",
       Entry(R"("dtype": "U8", "shape": [99999999999999999999], "data_offsets": [0, 1])", 1),
       "too large"},
      {"product overflows",
       Entry(R"("dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 0])", 0),
       "too large"},
      {"product overflows beside a zero",
       Entry(R"("dtype": "F32", "shape": [4611686018427387904, 4, 0], "data_offsets": [0, 0])", 0),
       "too large"},
      {"offsets disagree with shape",
       Entry(R"("dtype": "F32", "shape": [2], "data_offsets": [0, 4])", 4), "do not hold"},
      {"offsets reversed", Entry(R"("dtype": "U8", "shape": [1], "data_offsets": [2, 1])", 2),
       "do not hold"},
      {"beyond the file", Entry(R"("dtype": "U8", "shape": [4], "data_offsets": [0, 4])", 3),
       "beyond"},
      {"bytes left over", Entry(R"("dtype": "U8", "shape": [4], "data_offsets": [0, 4])", 5),
       "after the last"},
      {"hole at the start", Entry(R"("dtype": "U8", "shape": [4], "data_offsets": [1, 5])", 5),
       "hole"},
      {"hole between",
       RawSafetensors(R"({"a": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                          "t": {"dtype": "U8", "shape": [1], "data_offsets": [2, 3]}})",
                      "abc"),
       "hole"},
      {"overlap",
       RawSafetensors(R"({"a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
                          "t": {"dtype": "U8", "shape": [2], "data_offsets": [1, 3]}})",
                      "abc"),
       "overlap"},
      {"name twice",
       RawSafetensors(R"({"t": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
                          "t": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}})",
                      "ab"),
       "twice"},
      {"metadata no strings", RawSafetensors(R"({"__metadata__": {"a": 1}})", ""), "unexpected"},
      {"metadata twice", RawSafetensors(R"({"__metadata__": {}, "__metadata__": {}})", ""),
       "twice"},
  };
}

TEST(SafetensorsTest, MalformedFilesAreDataLossThatNamesFileAndTensor) {
  const TempDir dir;
  for (const BadFile& bad : BadFiles()) {
    SCOPED_TRACE(bad.why);
    const std::string path = dir.Write("bad.safetensors", bad.bytes);
    const absl::Status status = SafetensorsFile::Open(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_TRUE(absl::StartsWith(status.message(), path)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(bad.says));
  }
}

TEST(SafetensorsTest, EveryTruncationIsAnErrorThatNamesTheFile) {
  const TempDir dir;
  const std::string whole = Safetensors({{"first", "F32", {3}}, {"second", "BF16", {2, 2}}});
  ASSERT_TRUE(SafetensorsFile::Open(dir.Write("whole.safetensors", whole)).ok());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const std::string path = dir.Write("cut.safetensors", whole.substr(0, length));
    const absl::Status status = SafetensorsFile::Open(path).status();
    ASSERT_FALSE(status.ok()) << length;
    ASSERT_THAT(std::string(status.message()), HasSubstr(path)) << length;
  }
}

TEST(SafetensorsTest, MissingFileIsNotFound) {
  const absl::Status status = SafetensorsFile::Open("/nonexistent/x.safetensors").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace moesaic::model
