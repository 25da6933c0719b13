#pragma once

#include "absl/status/status.h"
#include "model/jinja/runtime.h"
#include "model/jinja/scope.h"

namespace moesaic::model::jinja {

/// Puts the functions that chat templates may call into `scope`: range, dict, namespace,
/// raise_exception, strftime_now. Errors: ResourceExhausted.
absl::Status AddGlobals(Runtime& runtime, Scope& scope);

}  // namespace moesaic::model::jinja
