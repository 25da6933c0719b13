#pragma once

#include <string>

#include "nlohmann/json.hpp"

namespace moesaic::model {

/// A byte-level tokenizer.json over the letters a–d, the space and a few merges, to be changed by
/// the tests.
inline nlohmann::json SmallTokenizer() {
  return nlohmann::json::parse(R"json({
    "version": "1.0",
    "added_tokens": [
      {"id": 10, "content": "<s>", "special": true, "normalized": false},
      {"id": 11, "content": "<tool>", "special": false, "normalized": false},
      {"id": 12, "content": "<tool>x", "special": false, "normalized": false}
    ],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {
      "type": "BPE",
      "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "Ġ": 4, "ab": 5, "cd": 6, "abcd": 7, "Ã": 8,
                "©": 9, "<": 13, ">": 14, "s": 15, "x": 16},
      "merges": ["a b", "c d", "ab cd"]
    }
  })json");
}

}  // namespace moesaic::model
