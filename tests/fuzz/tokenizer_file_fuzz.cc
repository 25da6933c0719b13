// tokenizer.json and tokenizer_config.json, and a little text through what they make.
#include "base/check.h"
#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "model/utf8.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  const std::string_view config = input.Until('\0');
  const auto tokenizer = moesaic::model::Tokenizer::Parse(input.Rest(), config);
  if (!tokenizer.ok()) return 0;
  const auto ids = (*tokenizer)->Encode("ab cd <s>\n\t 12345 it's \xC3\xA9\xE4\xB8\xAD ABC");
  if (!ids.ok()) return 0;
  moesaic::model::StreamDecoder decoder(**tokenizer);
  std::string streamed;
  for (const std::int32_t id : *ids) streamed += decoder.Push(id);
  streamed += decoder.Finish();
  MOESAIC_CHECK(streamed == (*tokenizer)->Decode(*ids));
  MOESAIC_CHECK(moesaic::model::IsValidUtf8(streamed));
  return 0;
}
