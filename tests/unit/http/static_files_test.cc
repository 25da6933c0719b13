#include "http/static_files.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include "gtest/gtest.h"
#include "http/client.h"
#include "http/server.h"

namespace moesaic::http {
namespace {

class StaticFilesTest : public testing::Test {
 protected:
  StaticFilesTest() {
    std::filesystem::create_directories(directory_ + "/below");
    Write("index.html", "<p>index</p>");
    Write("app.js", "export {};");
    Write("below/secret.js", "no");
    StaticFiles files;
    EXPECT_TRUE(files.AddDirectory(directory_).ok());
    RouteTable routes;
    files.Serve("/console", {{"content-security-policy", "default-src 'none'"}}, routes);
    server_ = *Server::Start({}, std::move(routes));
  }
  ~StaticFilesTest() override { std::filesystem::remove_all(directory_); }

  void Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name) << text;
  }
  Response Get(std::string_view path, std::vector<Header> headers = {}) {
    const auto client = *Client::Create("http://127.0.0.1:" + std::to_string(server_->port()));
    return *client.Get(path, std::move(headers));
  }
  static std::string HeaderOf(const Response& response, std::string_view name) {
    for (const Header& header : response.headers) {
      if (HeaderNamesEqual(header.name, name)) return header.value;
    }
    return "";
  }

  const std::string directory_ =
      std::filesystem::temp_directory_path() / ("static_files_" + std::to_string(::getpid()));
  std::unique_ptr<Server> server_;
};

TEST_F(StaticFilesTest, ServesWhatIsThereWithItsType) {
  for (const char* path : {"/console", "/console/", "/console/index.html"}) {
    const Response index = Get(path);
    EXPECT_EQ(index.status, 200) << path;
    EXPECT_EQ(index.body, "<p>index</p>");
    EXPECT_EQ(index.content_type, "text/html; charset=utf-8");
    EXPECT_EQ(HeaderOf(index, "content-security-policy"), "default-src 'none'");
  }
  EXPECT_EQ(Get("/console/app.js").content_type, "text/javascript; charset=utf-8");
}

TEST_F(StaticFilesTest, NothingElseCanBeReached) {
  for (const char* path :
       {"/console/below/secret.js", "/console/../etc/passwd", "/console/..%2f..%2fetc%2fpasswd",
        "/console//etc/passwd", "/console/%2e%2e/%2e%2e/etc/passwd", "/console/app.js%00.html"}) {
    EXPECT_NE(Get(path).status, 200) << path;
  }
}

TEST_F(StaticFilesTest, ABrowserThatHasItGetsNoCopy) {
  const std::string etag = HeaderOf(Get("/console/app.js"), "etag");
  ASSERT_FALSE(etag.empty());
  const Response again = Get("/console/app.js", {{"if-none-match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(Get("/console/app.js", {{"if-none-match", "\"other\""}}).status, 200);
}

TEST(StaticFiles, AFolderThatIsNotThereIsAnError) {
  StaticFiles files;
  EXPECT_EQ(files.AddDirectory("/nonexistent").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(files.AddFile("x", "/nonexistent/x").ok());
}

}  // namespace
}  // namespace moesaic::http
