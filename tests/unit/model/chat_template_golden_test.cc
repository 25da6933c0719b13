#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "model/chat_template.h"
#include "nlohmann/json.hpp"
#include "tests/golden/golden.h"

namespace moesaic::model {
namespace {

TEST(ChatTemplateGolden, AllRenderingsAgreeWithJinja2) {
  const auto text =
      base::ReadFile(testing::GoldenDir() + "/text/golden_tpl.json", std::size_t{1} << 24);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto golden = nlohmann::ordered_json::parse(*text);
  ASSERT_EQ(golden["cases"].size(), 24u);
  for (const auto& expected : golden["cases"]) {
    const std::string name = expected["template"];
    SCOPED_TRACE(name + " " + expected["case"].dump());
    const auto compiled = ChatTemplate::Compile(golden["templates"][name].get<std::string>());
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    const auto rendered = compiled->Render(expected["vars"]);
    if (expected["error"].is_null()) {
      ASSERT_TRUE(rendered.ok()) << rendered.status();
      EXPECT_EQ(*rendered, expected["rendered"].get<std::string>());
    } else {
      EXPECT_EQ(rendered.status().code(), absl::StatusCode::kInvalidArgument);
      const std::string error = expected["error"];
      const std::string message = error.substr(error.find(": ") + 2);
      EXPECT_NE(rendered.status().ToString().find(message), std::string::npos) << rendered.status();
    }
  }
}

}  // namespace
}  // namespace moesaic::model
