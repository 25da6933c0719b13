#include "http/listen_address.h"

#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

TEST(ParseListenAddress, SplitsAtTheLastColon) {
  EXPECT_EQ(ParseListenAddress("127.0.0.1:8000")->host, "127.0.0.1");
  EXPECT_EQ(ParseListenAddress("127.0.0.1:8000")->port, 8000);
  EXPECT_EQ(ParseListenAddress("::1:0")->host, "::1");
}

TEST(ParseListenAddress, RefusesWhatIsNone) {
  for (const char* text : {"", "localhost", "a:b", "a:65536", "a:-1"}) {
    EXPECT_EQ(ParseListenAddress(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(DialableAddress, IsTheBoundOneUnlessThatIsEveryInterface) {
  const struct {
    const char* bound;
    const char* reachable;
    const char* dialable;
  } cases[] = {
      {"127.0.0.1:9100", "10.0.0.7:9000", "127.0.0.1:9100"},
      {"0.0.0.0:9100", "10.0.0.7:9000", "10.0.0.7:9100"},
      {":::9100", "shard-1.shards:9000", "shard-1.shards:9100"},
      {"0.0.0.0:9100", "", "0.0.0.0:9100"},
      {"0.0.0.0:9100", "10.0.0.7", "0.0.0.0:9100"},
      {"", "10.0.0.7:9000", ""},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(DialableAddress(c.bound, c.reachable), c.dialable) << c.bound << " " << c.reachable;
  }
}

}  // namespace
}  // namespace moesaic::http
