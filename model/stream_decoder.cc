#include "model/stream_decoder.h"

namespace moesaic::model {

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens)
    : tokenizer_(&tokenizer),
      skip_special_tokens_(skip_special_tokens),
      state_(tokenizer.NewDecoderState()) {}

std::string StreamDecoder::Push(std::int32_t id, bool spell_out) {
  std::string text;
  tokenizer_->DecodeNext(id, skip_special_tokens_ && !spell_out, state_, text);
  return text;
}

std::string StreamDecoder::Finish() {
  std::string text;
  tokenizer_->DecodeRest(state_, text);
  return text;
}

}  // namespace moesaic::model
