#include "router/api/text_assembler.h"

namespace moesaic::router {

std::string TextAssembler::Push(std::int32_t token) {
  std::string text = decoder_.Push(token);
  if (++tokens_ <= min_tokens_) return text;
  return matcher_.Push(text);
}

std::string TextAssembler::Finish() {
  std::string text = matcher_.Push(decoder_.Finish());
  if (!matcher_.matched()) text += matcher_.Finish();
  return text;
}

}  // namespace moesaic::router
