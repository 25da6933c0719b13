#include "rpc/slice_cursor.h"

#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rpc/wire_fields.h"

namespace moesaic::rpc {
namespace {

std::vector<grpc::Slice> Slices(std::initializer_list<std::string> parts) {
  return {parts.begin(), parts.end()};
}

TEST(SliceCursorTest, ReadsAcrossSlicesEmptyOnesIncluded) {
  const auto slices = Slices({"", "ab", "", "c", "def", ""});
  SliceCursor cursor(slices);
  EXPECT_EQ(cursor.remaining(), 6u);
  std::string out(6, '?');
  EXPECT_TRUE(cursor.Copy(4, out.data()));
  EXPECT_TRUE(cursor.Copy(2, out.data() + 4));
  EXPECT_EQ(out, "abcdef");
  EXPECT_FALSE(cursor.Copy(1, out.data()));
  EXPECT_TRUE(cursor.Copy(0, out.data()));
}

TEST(SliceCursorTest, NoSlices) {
  SliceCursor cursor({});
  std::uint64_t value;
  EXPECT_FALSE(cursor.ReadVarint(&value));
}

TEST(SliceCursorTest, VarintsAsTheWriterWroteThem) {
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 32,
        std::numeric_limits<std::uint64_t>::max()}) {
    std::uint8_t bytes[10];
    wire::FieldWriter writer(bytes);
    writer.Varint(value);
    const std::size_t size = writer.at() - bytes;
    EXPECT_EQ(size, wire::VarintBytes(value));
    const std::string text(reinterpret_cast<char*>(bytes), size);
    const auto slices = Slices({text.substr(0, size / 2), text.substr(size / 2)});
    SliceCursor cursor(slices);
    std::uint64_t read;
    ASSERT_TRUE(cursor.ReadVarint(&read));
    EXPECT_EQ(read, value);
    EXPECT_EQ(cursor.remaining(), 0u);
  }
}

TEST(SliceCursorTest, OverlongVarintsAreRefused) {
  const auto slices = Slices({std::string(11, '\xff')});
  std::uint64_t value;
  EXPECT_FALSE(SliceCursor(slices).ReadVarint(&value));
  const auto wide = Slices({std::string("\xff\xff\xff\xff\x7f")});
  std::uint32_t narrow;
  EXPECT_FALSE(SliceCursor(wide).ReadVarint32(&narrow));
}

TEST(SliceCursorTest, ALengthMustFitWhatRemains) {
  const auto slices = Slices({std::string("\x03\x01\x02")});
  std::size_t length;
  EXPECT_FALSE(SliceCursor(slices).ReadLength(&length));
}

}  // namespace
}  // namespace moesaic::rpc
