// Encodes and decodes texts for scripts/tokenizer_parity.py.
//
//   tokenize_tool TOKENIZER_JSON < texts > results
//
// Reads one JSON string per line and answers each with one line of JSON:
// {"ids": […], "decoded": "…", "decoded_skip_special": "…"}. Both decodings are made token by
// token and compared with the decoding of the whole.

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status_macros.h"
#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "nlohmann/json.hpp"

namespace moesaic::model {
namespace {

absl::StatusOr<std::string> DecodeBothWays(const Tokenizer& tokenizer,
                                           const std::vector<std::int32_t>& ids,
                                           bool skip_special_tokens) {
  StreamDecoder stream(tokenizer, skip_special_tokens);
  std::string streamed;
  for (const std::int32_t id : ids) streamed += stream.Push(id);
  streamed += stream.Finish();
  if (streamed != tokenizer.Decode(ids, skip_special_tokens)) {
    return absl::InternalError("streamed text differs from decoded text");
  }
  return streamed;
}

absl::StatusOr<std::string> Answer(const Tokenizer& tokenizer, const std::string& line) {
  const nlohmann::json text = nlohmann::json::parse(line, nullptr, false);
  if (!text.is_string()) return absl::InvalidArgumentError("expected a JSON string per line");
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<std::int32_t> ids,
                           tokenizer.Encode(text.get_ref<const std::string&>()));
  MOESAIC_ASSIGN_OR_RETURN(const std::string decoded, DecodeBothWays(tokenizer, ids, false));
  MOESAIC_ASSIGN_OR_RETURN(const std::string skipped, DecodeBothWays(tokenizer, ids, true));
  return nlohmann::json{{"ids", ids}, {"decoded", decoded}, {"decoded_skip_special", skipped}}
      .dump();
}

absl::Status Run(const std::string& path) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string file, base::ReadFile(path, std::size_t{1} << 28));
  MOESAIC_ASSIGN_OR_RETURN(const std::unique_ptr<Tokenizer> tokenizer, Tokenizer::Parse(file));
  for (std::string line; std::getline(std::cin, line);) {
    MOESAIC_ASSIGN_OR_RETURN(const std::string answer, Answer(*tokenizer, line));
    std::cout << answer << '\n';
  }
  std::cout.flush();
  return absl::OkStatus();
}

}  // namespace
}  // namespace moesaic::model

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: tokenize_tool TOKENIZER_JSON < texts > results\n");
    return 2;
  }
  std::ios::sync_with_stdio(false);
  const absl::Status status = moesaic::model::Run(argv[1]);
  if (status.ok()) return 0;
  std::fprintf(stderr, "tokenize_tool: %s\n", status.ToString().c_str());
  return 1;
}
