// Any bytes as text, and any ids as tokens, through tokenizers of each kind.
#include <memory>
#include <vector>

#include "base/check.h"
#include "model/stream_decoder.h"
#include "model/tokenizer.h"
#include "model/utf8.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/fuzz/small_tokenizers.h"

namespace {

using moesaic::model::Tokenizer;

void StreamEqualsWhole(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  for (const bool skip : {false, true}) {
    moesaic::model::StreamDecoder decoder(tokenizer, skip);
    std::string streamed;
    for (const std::int32_t id : ids) {
      const std::string piece = decoder.Push(id);
      MOESAIC_CHECK(moesaic::model::IsValidUtf8(piece));
      streamed += piece;
    }
    streamed += decoder.Finish();
    MOESAIC_CHECK(streamed == tokenizer.Decode(ids, skip));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::vector<std::unique_ptr<Tokenizer>>& tokenizers =
      *new std::vector<std::unique_ptr<Tokenizer>>(moesaic::fuzz::SmallTokenizers());
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t choice = input.Byte();
  const Tokenizer& tokenizer = *tokenizers[choice / 8 % tokenizers.size()];
  if (choice & 4) {
    std::vector<std::int32_t> ids;
    while (!input.empty()) ids.push_back(input.Byte() - 2);
    StreamEqualsWhole(tokenizer, ids);
    return 0;
  }
  const auto ids = tokenizer.Encode(input.Rest(), {.add_special_tokens = (choice & 1) != 0,
                                                   .parse_special_tokens = (choice & 2) != 0});
  if (!ids.ok()) return 0;
  for (const std::int32_t id : *ids) {
    MOESAIC_CHECK(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocab_size());
  }
  StreamEqualsWhole(tokenizer, *ids);
  return 0;
}
