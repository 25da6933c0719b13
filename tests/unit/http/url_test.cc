#include "http/url.h"

#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

TEST(ParseUrlTest, TakesItApart) {
  const auto url = ParseUrl("http://host:8000/a/v1/");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->host, "host");
  EXPECT_EQ(url->port, "8000");
  EXPECT_EQ(url->prefix, "/a/v1");
}

TEST(ParseUrlTest, DefaultsAndIpV6) {
  const auto url = ParseUrl("http://[::1]/");
  ASSERT_TRUE(url.ok()) << url.status();
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "80");
  EXPECT_EQ(url->prefix, "");
}

TEST(ParseUrlTest, RefusesWhatIsNoUrl) {
  for (const char* url : {"", "localhost:80", "https://x", "http://", "http://:80", "http://a:x",
                          "http://a:0", "http://a:70000"}) {
    EXPECT_EQ(ParseUrl(url).status().code(), absl::StatusCode::kInvalidArgument) << url;
  }
}

}  // namespace
}  // namespace moesaic::http
