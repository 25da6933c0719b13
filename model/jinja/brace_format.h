#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// Python's format.format(…) for {}, {0} and {name}. Errors: InvalidArgument for a missing argument
/// or a field with a conversion, a format specification or an attribute.
absl::StatusOr<std::string> FormatBraces(Runtime& runtime, std::string_view format,
                                         const CallArguments& arguments);

}  // namespace moesaic::model::jinja
