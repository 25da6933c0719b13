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

}  // namespace
}  // namespace moesaic::http
