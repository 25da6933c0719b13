#include "http/request_text.h"

#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

TEST(FormatRequestTest, HeadAndBody) {
  const Header header{"Authorization", "Bearer x"};
  EXPECT_EQ(FormatRequest({"host", "80", "/v1"}, {"POST", "/p", "{}", {&header, 1}}),
            "POST /v1/p HTTP/1.1\r\nhost: host:80\r\nconnection: close\r\ncontent-length: 2\r\n"
            "content-type: application/json\r\nAuthorization: Bearer x\r\n\r\n{}");
}

TEST(FormatRequestTest, WithoutBodyAndToIpV6) {
  EXPECT_EQ(FormatRequest({"::1", "80", ""}, {"GET", "/p", "", {}}),
            "GET /p HTTP/1.1\r\nhost: [::1]:80\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
}

}  // namespace
}  // namespace moesaic::http
