#include "model/jinja/arguments.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::model::jinja {

absl::StatusOr<BoundArguments> BoundArguments::Bind(
    std::string_view function, const CallArguments& arguments,
    std::initializer_list<std::string_view> parameters) {
  BoundArguments bound;
  bound.function_ = std::string(function);
  bound.parameters_ = parameters;
  bound.values_.resize(parameters.size(), nullptr);
  if (arguments.positional.size() > parameters.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(bound.function_, "() takes at most ", parameters.size(), " arguments"));
  }
  for (std::size_t i = 0; i < arguments.positional.size(); ++i) {
    bound.values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto it = std::find(parameters.begin(), parameters.end(), name);
    if (it == parameters.end() || bound.values_[it - parameters.begin()] != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(bound.function_, "() got an unexpected or repeated argument '", name, "'"));
    }
    bound.values_[it - parameters.begin()] = &value;
  }
  return bound;
}

absl::StatusOr<Value> BoundArguments::Get(std::size_t parameter) const {
  const Value* value = Find(parameter);
  if (value == nullptr) return Error(parameter, "is missing");
  return *value;
}

absl::StatusOr<std::string> BoundArguments::String(std::size_t parameter) const {
  const Value* value = Find(parameter);
  if (value == nullptr || !value->is_string()) return Error(parameter, "must be a string");
  return value->AsString();
}

absl::StatusOr<std::string> BoundArguments::StringOr(std::size_t parameter,
                                                     std::string_view fallback) const {
  if (IsAbsent(parameter)) return std::string(fallback);
  return String(parameter);
}

absl::StatusOr<std::int64_t> BoundArguments::Int(std::size_t parameter) const {
  const Value* value = Find(parameter);
  if (value == nullptr || !value->is_integral()) return Error(parameter, "must be an integer");
  return value->AsInt();
}

absl::StatusOr<std::int64_t> BoundArguments::IntOr(std::size_t parameter,
                                                   std::int64_t fallback) const {
  if (IsAbsent(parameter)) return fallback;
  return Int(parameter);
}

bool BoundArguments::BoolOr(std::size_t parameter, bool fallback) const {
  return Find(parameter) == nullptr ? fallback : Find(parameter)->IsTrue();
}

absl::Status BoundArguments::Error(std::size_t parameter, std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(
      function_, "(): argument '", base::ToAbsl(parameters_[parameter]), "' ", base::ToAbsl(what)));
}

}  // namespace moesaic::model::jinja
