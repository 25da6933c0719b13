#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moesaic::testing {

/// Folder of the committed golden data as unpacked by the build: checkpoints by name, each with a
/// trimmed golden.safetensors; text/ and tokenizers/ whole. Layout and keys: README.md there.
std::string GoldenDir();

/// Folder of the full golden data, or nothing on a machine without it (skip visibly then).
std::optional<std::string> FullGoldenDir();

/// Names of the checkpoints in both.
const std::vector<std::string>& GoldenCheckpoints();

}  // namespace moesaic::testing
