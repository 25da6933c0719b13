#include "http/static_files.h"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/error_map.h"

namespace moesaic::http {
namespace {

constexpr std::size_t kMaxBytes = 16 << 20;

std::string ContentType(const std::string& name) {
  static const std::map<std::string, std::string> types = {
      {".css", "text/css; charset=utf-8"},
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
      {".txt", "text/plain; charset=utf-8"},
      {".woff2", "font/woff2"}};
  const auto found = types.find(std::filesystem::path(name).extension().string());
  return found == types.end() ? "application/octet-stream" : found->second;
}

/// FNV-1a, 64 bits: the same file has the same tag in every process.
std::string TagOf(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash = (hash ^ static_cast<unsigned char>(byte)) * std::uint64_t{0x100000001b3};
  }
  return absl::StrCat("\"", absl::Hex(hash, absl::kZeroPad16), "\"");
}

}  // namespace

absl::Status StaticFiles::AddDirectory(const std::string& directory) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (!entry.is_regular_file(error)) continue;
    MOESAIC_RETURN_IF_ERROR(AddFile(entry.path().filename().string(), entry.path().string()));
  }
  if (!error) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(directory, ": ", error.message()));
}

absl::Status StaticFiles::AddFile(const std::string& name, const std::string& path) {
  MOESAIC_ASSIGN_OR_RETURN(std::string body, base::ReadFile(path, kMaxBytes));
  bytes_ += body.size();
  if (bytes_ > kMaxBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": more than ", kMaxBytes, " bytes of files to serve"));
  }
  std::string etag = TagOf(body);
  files_[name] = {ContentType(name), std::move(etag), std::move(body)};
  return absl::OkStatus();
}

void StaticFiles::Serve(const std::string& prefix, std::vector<Header> headers,
                        RouteTable& routes) const {
  const auto files = std::make_shared<const std::map<std::string, File>>(files_);
  const auto answer = [files, headers = std::move(headers)](Exchange& exchange,
                                                            const std::string& name) {
    const auto found = files->find(name);
    if (found == files->end()) {
      return exchange.Respond(ErrorResponse(absl::NotFoundError("no such file")));
    }
    Response response;
    response.content_type = found->second.content_type;
    response.headers = headers;
    response.headers.push_back({"cache-control", "no-cache"});
    response.headers.push_back({"etag", found->second.etag});
    if (exchange.request().HeaderValue("if-none-match") == found->second.etag) {
      response.status = 304;
    } else {
      response.body = found->second.body;
    }
    exchange.Respond(std::move(response));
  };
  const auto index = [answer](const std::shared_ptr<Exchange>& exchange) {
    answer(*exchange, "index.html");
  };
  routes.Add("GET", prefix, index);
  routes.Add("GET", prefix + "/", index);
  routes.Add("GET", prefix + "/*", [answer](const std::shared_ptr<Exchange>& exchange) {
    answer(*exchange, exchange->request().path_tail);
  });
}

}  // namespace moesaic::http
