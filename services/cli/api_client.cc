#include "services/cli/api_client.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/client.h"
#include "services/cli/cluster_file.h"

namespace moesaic::services {
namespace {

/// The message of an OpenAI error object, or the whole text when it is none.
std::string ErrorMessage(const nlohmann::json& object, const std::string& fallback) {
  if (object.is_object() && object.contains("error") && object["error"].is_object()) {
    return object["error"].value("message", fallback);
  }
  return fallback;
}

absl::Status ApiError(const http::Response& response) {
  const nlohmann::json error = nlohmann::json::parse(response.body, nullptr, false);
  return absl::UnavailableError(
      absl::StrCat("HTTP ", response.status, ": ", ErrorMessage(error, response.body)));
}

}  // namespace

void ApiFlags::Declare(CLI::App& command) {
  state_dir = DefaultStateDir();
  command.add_option("--url", url, "http://host:port of the router; default: the local cluster");
  command.add_option("--state-dir", state_dir, "Folder of the local cluster")
      ->capture_default_str();
  command.add_option("--max-tokens", max_tokens, "Longest answer in tokens; 0 = to the limit")
      ->check(CLI::Range(0, 1 << 24));
  command.add_option("--temperature", temperature, "0 = greedy; default: the checkpoint's")
      ->check(CLI::Range(0.0, 2.0));
}

absl::StatusOr<std::string> ApiFlags::ResolveUrl() const {
  if (!url.empty()) return url;
  MOESAIC_ASSIGN_OR_RETURN(const ClusterFile cluster, ReadClusterFile(state_dir));
  return cluster.http_url;
}

void ApiFlags::AddTo(nlohmann::json& body) const {
  if (max_tokens > 0) body["max_tokens"] = max_tokens;
  if (temperature >= 0.0) body["temperature"] = temperature;
}

absl::Status StreamChunks(const std::string& url, const std::string& path, nlohmann::json body,
                          absl::FunctionRef<void(const nlohmann::json&)> on_chunk,
                          int interrupt_fd) {
  body["stream"] = true;
  MOESAIC_ASSIGN_OR_RETURN(const http::Client client,
                           http::Client::Create(url, {.interrupt_fd = interrupt_fd}));
  absl::Status failure;
  MOESAIC_ASSIGN_OR_RETURN(
      const http::Response response,
      client.PostStreaming(
          path, body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace),
          [&](std::string_view data) {
            if (data == "[DONE]") return true;
            const nlohmann::json chunk = nlohmann::json::parse(data, nullptr, false);
            if (!chunk.is_object()) {
              failure = absl::InternalError("the router sent a chunk that is not JSON");
            } else if (chunk.contains("error")) {
              failure = absl::UnavailableError(ErrorMessage(chunk, "unknown error"));
            } else {
              on_chunk(chunk);
            }
            return failure.ok();
          },
          {{"Content-Type", "application/json"}}));
  MOESAIC_RETURN_IF_ERROR(failure);
  return response.status == 200 ? absl::OkStatus() : ApiError(response);
}

absl::StatusOr<nlohmann::json> ParseAnswer(const http::Response& response) {
  if (response.status != 200) return ApiError(response);
  nlohmann::json answer = nlohmann::json::parse(response.body, nullptr, false);
  if (!answer.is_object()) return absl::InternalError("the answer is not a JSON object");
  return answer;
}

}  // namespace moesaic::services
