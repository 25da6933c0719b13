#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "router/api/stop_matcher.h"

namespace moesaic::router {

/// The text of one choice, from its tokens: incremental detokenisation, then stop texts.
/// Single-thread; refers to the tokenizer.
class TextAssembler {
 public:
  /// Stop texts are not looked for in the text of the first `min_tokens` tokens.
  TextAssembler(const model::Tokenizer& tokenizer, std::vector<std::string> stops, int min_tokens)
      : decoder_(tokenizer), matcher_(std::move(stops)), min_tokens_(min_tokens) {}

  /// Adds a token; returns the text that became final.
  std::string Push(std::int32_t token);
  /// No more tokens come: returns the rest.
  std::string Finish();
  /// A stop text was found: it and what follows is not part of the text.
  bool stopped() const { return matcher_.matched(); }

 private:
  model::StreamDecoder decoder_;
  StopMatcher matcher_;
  int min_tokens_;
  int tokens_ = 0;
};

}  // namespace moesaic::router
