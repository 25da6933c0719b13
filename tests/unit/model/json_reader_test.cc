#include "model/json_reader.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::model {
namespace {

using ::testing::ElementsAre;

class JsonReaderTest : public ::testing::Test {
 protected:
  JsonReaderTest()
      : object_(nlohmann::json::parse(R"({"int": 5, "big": 18446744073709551615, "real": 0.5,
          "text": "a", "yes": true, "none": null, "list": [1, 2], "words": ["x", "y"],
          "mixed": [1, "x"], "object": {"inner": "wrong"}})")),
        reader_(object_, "file", status_) {}

  nlohmann::json object_;
  absl::Status status_;
  JsonReader reader_;
};

TEST_F(JsonReaderTest, ReadsTypedValues) {
  EXPECT_EQ(reader_.Int("int", 0, 9), 5);
  EXPECT_EQ(reader_.Int("absent", 0, 9, 7), 7);
  EXPECT_EQ(reader_.Int("none", 0, 9, 7), 7);
  EXPECT_EQ(reader_.OptionalInt("none", 0, 9), std::nullopt);
  EXPECT_EQ(reader_.Number("real", 0, 1), 0.5);
  EXPECT_EQ(reader_.Number("int", 0, 9), 5.0);
  EXPECT_EQ(reader_.String("text", ""), "a");
  EXPECT_TRUE(reader_.Bool("yes", false));
  EXPECT_THAT(reader_.Ints("list", 0, 9), ElementsAre(1, 2));
  EXPECT_THAT(reader_.Ints("int", 0, 9, /*or_single=*/true), ElementsAre(5));
  EXPECT_THAT(reader_.Strings("words"), ElementsAre("x", "y"));
  EXPECT_FALSE(reader_.Object("absent").has_value());
  EXPECT_TRUE(status_.ok()) << status_;
}

TEST_F(JsonReaderTest, FailedReadsStayInBounds) {
  EXPECT_EQ(reader_.Int("int", 6, 9), 6);
  EXPECT_EQ(status_.message(), "file: int: must be an integer from 6 to 9");
  EXPECT_EQ(reader_.Int("big", 1, 9), 1);
  EXPECT_EQ(reader_.Int("absent", 2, 9), 2);
  EXPECT_EQ(reader_.Number("text", 1, 2), 1);
}

TEST_F(JsonReaderTest, TheFirstErrorStays) {
  reader_.Int("absent", 0, 1);
  reader_.Unsupported("text", "another");
  EXPECT_EQ(status_, absl::InvalidArgumentError("file: absent: missing"));
}

TEST_F(JsonReaderTest, WrongTypesInLists) {
  reader_.Strings("mixed");
  EXPECT_EQ(status_.message(), "file: mixed: must be a list of strings");
}

TEST_F(JsonReaderTest, SubObjectsShareTheStatusAndNameTheirKey) {
  std::optional<JsonReader> inner = reader_.Object("object");
  ASSERT_TRUE(inner.has_value());
  inner->Int("inner", 0, 1);
  EXPECT_EQ(status_.message(), "file: object: inner: must be an integer from 0 to 1");
}

TEST(ParseJsonObjectTest, OnlyObjects) {
  EXPECT_TRUE(ParseJsonObject("{}", "f").ok());
  EXPECT_EQ(ParseJsonObject("[]", "f").status().message(), "f: not a JSON object");
  EXPECT_EQ(ParseJsonObject("{", "f").status().message(), "f: not valid JSON");
  EXPECT_EQ(ParseJsonObject("", "f").status().message(), "f: not valid JSON");
}

}  // namespace
}  // namespace moesaic::model
