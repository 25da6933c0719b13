#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moesaic::services {

/// What a chunk of a streamed answer says to a benchmark. Plain value.
struct AnswerChunk {
  bool valid = false;    ///< It was a JSON object.
  bool content = false;  ///< It brings text of the answer, or of its reasoning.
  std::string error;     ///< Of an error object; empty = none.
  // Of its usage; negative = it has none.
  std::int64_t prompt_tokens = -1;
  std::int64_t cached_tokens = -1;
  std::int64_t output_tokens = -1;
};

/// Reads the data of one server-sent event, of /completions or /chat/completions.
AnswerChunk ReadAnswerChunk(std::string_view data);

}  // namespace moesaic::services
