#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"

namespace moesaic::router {

/// The id of "<|end|>", the first control token of MakeByteTokenizer.
inline constexpr std::int32_t kEndToken = 256;

/// A tokenizer whose token i < 256 is the byte i; further control tokens follow kEndToken.
std::unique_ptr<model::Tokenizer> MakeByteTokenizer(
    const std::vector<std::string>& control_tokens = {});

/// The ids of `text` under it.
std::vector<std::int32_t> ByteIds(std::string_view text);

}  // namespace moesaic::router
