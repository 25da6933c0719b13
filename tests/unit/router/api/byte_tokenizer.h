#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "model/tokenizer.h"

namespace moesaic::router {

/// The id of the only control token of MakeByteTokenizer, "<|end|>".
inline constexpr std::int32_t kEndToken = 256;

/// A tokenizer whose token i < 256 is the byte i.
std::unique_ptr<model::Tokenizer> MakeByteTokenizer();

/// The ids of `text` under it.
std::vector<std::int32_t> ByteIds(std::string_view text);

}  // namespace moesaic::router
