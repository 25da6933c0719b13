#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "model/jinja/ast.h"

namespace moesaic::model::jinja {

/// Parses a template. Errors: InvalidArgument with the line; statements that load other templates
/// (include, import, extends, block) are refused.
absl::StatusOr<Program> Parse(std::string_view source);

}  // namespace moesaic::model::jinja
