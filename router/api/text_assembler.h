#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "router/api/reasoning_parser.h"
#include "router/api/stop_matcher.h"

namespace moesaic::router {

/// The text of one choice, from its tokens: incremental detokenisation, then the division into
/// reasoning and content, then stop texts, which are looked for in the content alone. Control
/// tokens contribute nothing, except the markers of the reasoning where they are awaited.
/// Single-thread; refers to the tokenizer.
class TextAssembler {
 public:
  /// Stop texts are not looked for in the text of the first `min_tokens` tokens. `start`: see
  /// ReasoningParser.
  TextAssembler(const model::Tokenizer& tokenizer, std::vector<std::string> stops, int min_tokens,
                AnswerPart start = AnswerPart::kContent);

  /// Adds a token; returns the text that became final.
  AnswerText Push(std::int32_t token);
  /// No more tokens come: returns the rest.
  AnswerText Finish();
  /// A stop text was found: it and what follows is not part of the text.
  bool stopped() const { return matcher_.matched(); }
  /// Where the next token belongs, as far as it is known.
  AnswerPart part() const { return parser_.part(); }
  /// The answer has reasoning, perhaps empty.
  bool reasoned() const { return parser_.reasoned(); }

 private:
  bool IsAwaitedMarker(std::int32_t token) const;

  model::StreamDecoder decoder_;
  ReasoningParser parser_;
  StopMatcher matcher_;
  // The markers, where they are tokens of their own.
  std::optional<std::int32_t> open_token_;
  std::optional<std::int32_t> close_token_;
  int min_tokens_;
  int tokens_ = 0;
};

}  // namespace moesaic::router
