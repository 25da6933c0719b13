#include "model/token_decoder.h"

#include "base/status_macros.h"
#include "model/decoder_stages.h"

namespace moesaic::model {

absl::StatusOr<TokenDecoder> TokenDecoder::Create(const JsonSpec& spec) {
  TokenDecoder decoder;
  if (spec.is_null()) {
    decoder.stages_.push_back(MakeSpaceJoin());
  } else {
    MOESAIC_RETURN_IF_ERROR(AppendDecoderStages(spec, 0, decoder.stages_));
  }
  return decoder;
}

void TokenDecoder::Push(std::string_view token, State& state, std::string& out) const {
  DecoderOutput(stages_, state, 0, out).Piece(token);
}

void TokenDecoder::Finish(State& state, std::string& out) const {
  DecoderOutput(stages_, state, 0, out).EndSequence();
}

}  // namespace moesaic::model
