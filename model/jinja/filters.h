#pragma once

#include <functional>
#include <string_view>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// A filter or a test: works on `input` with the arguments in parentheses.
using FilterFunction = absl::StatusOr<Value> (*)(Runtime& runtime, const Value& input,
                                                 const CallArguments& arguments);
using TestFunction = absl::StatusOr<bool> (*)(Runtime& runtime, const Value& input,
                                              const CallArguments& arguments);

/// The filter or test of jinja2 (and tojson as transformers defines it), or null.
FilterFunction FindFilter(std::string_view name);
TestFunction FindTest(std::string_view name);

/// Filters over text, and those over lists.
FilterFunction FindTextFilter(std::string_view name);
FilterFunction FindListFilter(std::string_view name);

/// Applies the filter or test `name`. Errors: InvalidArgument when there is none.
absl::StatusOr<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& input,
                                  const CallArguments& arguments);
absl::StatusOr<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& input,
                               const CallArguments& arguments);

}  // namespace moesaic::model::jinja
