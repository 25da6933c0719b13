#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "http/client.h"
#include "http/message.h"

namespace moesaic::services {

/// How a prompt of so many tokens is written for a server.
enum class PromptForm { kIds, kText };

/// A server to load, and what it was found to understand. Plain value.
struct BenchTarget {
  std::string base_url;  ///< Of the API, so mostly ending in /v1.
  std::string model;
  bool chat = false;  ///< /chat/completions instead of /completions.
  std::vector<http::Header> headers = {};
  PromptForm form = PromptForm::kText;
  // kIds: token ids are drawn from these, both included.
  std::int32_t first_id = 0;
  std::int32_t last_id = 0;
  // kText: what a prompt of so many words costs in tokens, as measured.
  double tokens_per_word = 1;
  double extra_tokens = 0;

  const char* path() const { return chat ? "/chat/completions" : "/completions"; }
};

/// What the user said of the server. Plain value.
struct TargetOptions {
  std::string url;
  std::string model;  ///< Empty = the first that it lists.
  std::string api_key;
  bool chat = false;
  std::string prompt_form = "auto";  ///< Or ids, text.
  std::string token_ids;             ///< "FIRST-LAST"; empty = by the server's vocabulary.
  absl::Duration timeout;
  int interrupt_fd = -1;
};

/// Asks the server for its models, and tries a request or three of a token to see how prompts are
/// to be given. Errors: InvalidArgument for bad options; otherwise what the server said, or that it
/// is no OpenAI-compatible one.
absl::StatusOr<BenchTarget> FindTarget(const TargetOptions& options);

/// `words` words, the first beginning with no blank; which ones is up to `seed`.
std::string RandomWords(std::int64_t words, std::uint64_t seed);

}  // namespace moesaic::services
