#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "model/checkpoint.h"

namespace moesaic::model {

/// SHA-256 (64 lower-case hex digits) that tells checkpoints apart without reading them whole:
/// over config.json; then, per safetensors file in order of file name, its header and for each
/// tensor in order of its data the first and last 4 KiB (a tensor of up to 8 KiB whole). Every
/// part is preceded by its length as u64 little-endian. Reads at most 8 KiB a tensor.
/// Errors: Internal when OpenSSL fails; DataLoss for a file that cannot be read.
absl::StatusOr<std::string> Fingerprint(const Checkpoint& checkpoint);

}  // namespace moesaic::model
