#include "router/admission/tenant_table.h"

#include "gtest/gtest.h"

namespace moesaic::router {
namespace {

TEST(TenantOfTest, TheHeaderRulesThenTheUserThenTheDefault) {
  EXPECT_EQ(*TenantOf("acme", "bob"), "acme");
  EXPECT_EQ(*TenantOf("", "bob@example.org"), "bob@example.org");
  EXPECT_EQ(*TenantOf("", ""), "default");
  EXPECT_EQ(*TenantOf("", "name with blanks"), "other");
  EXPECT_EQ(*TenantOf("", std::string(65, 'x')), "other");
}

TEST(TenantOfTest, AHeaderThatIsNoNameIsAnError) {
  for (const std::string& header :
       {std::string("a b"), std::string("a\"b"), std::string(65, 'x')}) {
    EXPECT_EQ(TenantOf(header, "").status().code(), absl::StatusCode::kInvalidArgument) << header;
  }
}

TEST(TenantTableTest, TheFirstSoManyHaveALabelOfTheirOwn) {
  TenantTable table(2);
  EXPECT_EQ(table.LabelOf("default"), "default");
  EXPECT_EQ(table.LabelOf("other"), "other");
  EXPECT_EQ(table.LabelOf("a"), "a");
  EXPECT_EQ(table.LabelOf("b"), "b");
  EXPECT_EQ(table.LabelOf("c"), "other");
  EXPECT_EQ(table.LabelOf("a"), "a");
}

}  // namespace
}  // namespace moesaic::router
