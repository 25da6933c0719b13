#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "http/message.h"
#include "services/cli/commands.h"

namespace moesaic::services {

/// Flags of every command that talks to the OpenAI-compatible API.
struct ApiFlags {
  std::string url;  ///< Empty = the local cluster's.
  std::string state_dir;
  int max_tokens = 0;         ///< 0 = up to the context limit.
  double temperature = -1.0;  ///< Negative = the checkpoint's default.

  void Declare(CLI::App& command);
  /// The URL to use. Errors: those of ReadClusterFile.
  absl::StatusOr<std::string> ResolveUrl() const;
  /// Adds the sampling flags that were given to a request body.
  void AddTo(nlohmann::json& body) const;
};

/// Posts `body` with "stream": true and calls `on_chunk` with each chunk. `interrupt_fd`: see
/// http::ClientOptions. Errors: those of the client; for an API error its message.
absl::Status StreamChunks(const std::string& url, const std::string& path, nlohmann::json body,
                          absl::FunctionRef<void(const nlohmann::json&)> on_chunk,
                          int interrupt_fd = -1);

/// The JSON object of an answer. Errors: for another status than 200, what the API says of it.
absl::StatusOr<nlohmann::json> ParseAnswer(const http::Response& response);

}  // namespace moesaic::services
