#pragma once

#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/safetensors.h"

namespace moesaic::model {

/// Parses the JSON header of a safetensors file and checks everything that needs no data: names
/// once each, legal element types, shapes without negative sizes or overflow, and offsets that
/// agree with them. The order is that of the header.
/// Errors: DataLoss naming `path` and, where there is one, the tensor.
absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(std::string_view header,
                                                               std::string_view path);

}  // namespace moesaic::model
