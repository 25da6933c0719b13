#include "router/api/text_assembler.h"

#include <utility>

namespace moesaic::router {

TextAssembler::TextAssembler(const model::Tokenizer& tokenizer, std::vector<std::string> stops,
                             int min_tokens, AnswerPart start)
    : decoder_(tokenizer),
      parser_(start),
      matcher_(std::move(stops)),
      open_token_(tokenizer.TokenToId(kThinkOpen)),
      close_token_(tokenizer.TokenToId(kThinkClose)),
      min_tokens_(min_tokens) {}

AnswerText TextAssembler::Push(std::int32_t token) {
  AnswerText text = parser_.Push(decoder_.Push(token, /*spell_out=*/IsAwaitedMarker(token)));
  if (++tokens_ > min_tokens_) text.content = matcher_.Push(text.content);
  return text;
}

AnswerText TextAssembler::Finish() {
  AnswerText text = parser_.Push(decoder_.Finish());
  AnswerText rest = parser_.Finish();
  text.reasoning += rest.reasoning;
  text.content = matcher_.Push(text.content + rest.content);
  if (!matcher_.matched()) text.content += matcher_.Finish();
  return text;
}

bool TextAssembler::IsAwaitedMarker(std::int32_t token) const {
  switch (parser_.part()) {
    case AnswerPart::kUndecided:
      return token == open_token_;
    case AnswerPart::kReasoning:
      return token == close_token_;
    case AnswerPart::kContent:
      return false;
  }
  return false;
}

}  // namespace moesaic::router
