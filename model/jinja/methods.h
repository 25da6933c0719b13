#pragma once

#include <string_view>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// A method of str, list, tuple or dict. Methods that change their object do not exist: templates
/// run in jinja2's immutable sandbox.
using Method = absl::StatusOr<Value> (*)(Runtime& runtime, const Value& self,
                                         const CallArguments& arguments);

/// The method `name` of the type of `self`, or null.
Method FindMethod(const Value& self, std::string_view name);

/// The methods of str.
Method FindStringMethod(std::string_view name);

}  // namespace moesaic::model::jinja
