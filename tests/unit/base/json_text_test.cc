#include "base/json_text.h"

#include <limits>
#include <random>
#include <string>

#include "gtest/gtest.h"

namespace moesaic::base {
namespace {

std::string Json(std::string_view bytes) {
  std::string out;
  AppendJsonString(bytes, out);
  return out;
}

TEST(JsonTextTest, EscapesWhatJsonAndLinesCannotHold) {
  using namespace std::string_literals;
  EXPECT_EQ(Json("plain text"), "\"plain text\"");
  EXPECT_EQ(Json(""), "\"\"");
  EXPECT_EQ(Json("a\"b\\c\nd\re\tf"), R"("a\"b\\c\nd\re\tf")");
  EXPECT_EQ(Json("\0\x01\x1f\x7f"s), R"("\u0000\u0001\u001f\u007f")");
  EXPECT_EQ(Json("\xE2\x80\xA8\xE2\x80\xA9"), R"("\u2028\u2029")");
}

TEST(JsonTextTest, KeepsValidUtf8) {
  for (const char* text : {"é", "€", "漢字", "😀", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_EQ(Json(text), "\"" + std::string(text) + "\"");
  }
}

TEST(JsonTextTest, ReplacesWhatIsNoUtf8ByteByByte) {
  const std::string bad = "\xEF\xBF\xBD";
  const auto times = [&](int n) {
    std::string all = "\"";
    for (int i = 0; i < n; ++i) all += bad;
    return all + "\"";
  };
  EXPECT_EQ(Json("\xFF"), times(1));
  EXPECT_EQ(Json("\x80"), times(1));
  EXPECT_EQ(Json("\xC0\xAF"), times(2));          // overlong
  EXPECT_EQ(Json("\xE0\x80\xAF"), times(3));      // overlong
  EXPECT_EQ(Json("\xED\xA0\x80"), times(3));      // surrogate
  EXPECT_EQ(Json("\xF4\x90\x80\x80"), times(4));  // beyond U+10FFFF
  EXPECT_EQ(Json("\xF5\x80\x80\x80"), times(4));
  EXPECT_EQ(Json("\xE2\x82"), times(2));         // cut off
  EXPECT_EQ(Json("\xC3("), "\"" + bad + "(\"");  // the byte behind is kept
}

TEST(JsonTextTest, IsOneLineOfPrintableTextWhateverTheBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes(random() % 12, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const std::string json = Json(bytes);
    ASSERT_GE(json.size(), 2u);
    bool escaped = false;
    for (std::size_t i = 1; i + 1 < json.size(); ++i) {
      ASSERT_GE(static_cast<unsigned char>(json[i]), 0x20);
      if (escaped) {
        escaped = false;
      } else {
        ASSERT_NE(json[i], '"');
        escaped = json[i] == '\\';
      }
    }
    ASSERT_FALSE(escaped);
    std::string again;  // what is valid stays as it is
    AppendJsonString(std::string_view(json).substr(1, json.size() - 2), again);
    ASSERT_EQ(again.find("\xEF\xBF\xBD") != std::string::npos,
              json.find("\xEF\xBF\xBD") != std::string::npos);
  }
}

TEST(JsonTextTest, NumbersJsonCannotSayAreNull) {
  const auto number = [](double value) {
    std::string out;
    AppendJsonNumber(value, out);
    return out;
  };
  EXPECT_EQ(number(0.25), "0.25");
  EXPECT_EQ(number(-1e-7), "-1e-07");
  EXPECT_EQ(number(std::numeric_limits<double>::infinity()), "null");
  EXPECT_EQ(number(std::numeric_limits<double>::quiet_NaN()), "null");
}

}  // namespace
}  // namespace moesaic::base
