#include "http/route_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace moesaic::http {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

RouteTable Table() {
  RouteTable routes;
  const Handler none = [](std::shared_ptr<Exchange>) {};
  routes.Add("GET", "/v1/models", none);
  routes.Add("GET", "/v1/models/*", none);
  routes.Add("POST", "/v1/completions", none);
  return routes;
}

TEST(RouteTableTest, ExactPath) {
  EXPECT_NE(Table().Find("GET", "/v1/models").handler, nullptr);
  EXPECT_EQ(Table().Find("GET", "/v1/models/").handler, nullptr);
  EXPECT_EQ(Table().Find("GET", "/v1").handler, nullptr);
}

TEST(RouteTableTest, TailMayHoldSlashes) {
  const RouteTable routes = Table();
  const RouteTable::Match match = routes.Find("GET", "/v1/models/org/name");
  ASSERT_NE(match.handler, nullptr);
  EXPECT_EQ(match.path_tail, "org/name");
}

TEST(RouteTableTest, KnownPathUnknownMethod) {
  const RouteTable::Match match = Table().Find("GET", "/v1/completions");
  EXPECT_EQ(match.handler, nullptr);
  EXPECT_THAT(match.allowed_methods, ElementsAre("POST"));
}

TEST(RouteTableTest, UnknownPath) {
  const RouteTable::Match match = Table().Find("GET", "/v2");
  EXPECT_EQ(match.handler, nullptr);
  EXPECT_THAT(match.allowed_methods, IsEmpty());
}

TEST(RouteTableTest, HeadIsServedByGet) {
  const RouteTable routes = Table();
  EXPECT_NE(routes.Find("HEAD", "/v1/models").handler, nullptr);
  EXPECT_EQ(routes.Find("HEAD", "/v1/completions").handler, nullptr);
}

}  // namespace
}  // namespace moesaic::http
