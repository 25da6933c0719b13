#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// Python's `format % arguments` for %s %r %d %i %f %x and %%, with flags, width and precision.
/// Errors: InvalidArgument for another conversion, or arguments that do not fit.
absl::StatusOr<std::string> FormatPercent(Runtime& runtime, std::string_view format,
                                          const std::vector<Value>& arguments);

}  // namespace moesaic::model::jinja
