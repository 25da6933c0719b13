#pragma once

#include <memory>
#include <vector>

#include "model/tokenizer.h"

namespace moesaic::fuzz {

/// Small tokenizers of every kind that is supported: byte-level with each split pattern, and
/// SentencePiece-style with byte fallback, normalizers and a metaspace.
std::vector<std::unique_ptr<model::Tokenizer>> SmallTokenizers();

}  // namespace moesaic::fuzz
