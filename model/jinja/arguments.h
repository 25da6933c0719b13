#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// The arguments of a call by parameter: positional ones in order, then named ones. Borrows the
/// call's values.
class BoundArguments {
 public:
  /// Errors: InvalidArgument for too many arguments, an unknown or a repeated name. `function`
  /// names the callee in messages.
  static absl::StatusOr<BoundArguments> Bind(std::string_view function,
                                             const CallArguments& arguments,
                                             std::initializer_list<std::string_view> parameters);

  /// The argument, or null when it was not passed.
  const Value* Find(std::size_t parameter) const { return values_[parameter]; }
  /// Not passed, or none.
  bool IsAbsent(std::size_t parameter) const {
    return Find(parameter) == nullptr || Find(parameter)->is_none();
  }

  // Errors: InvalidArgument for a missing argument or one of another type.
  absl::StatusOr<Value> Get(std::size_t parameter) const;
  absl::StatusOr<std::string> String(std::size_t parameter) const;
  absl::StatusOr<std::string> StringOr(std::size_t parameter, std::string_view fallback) const;
  absl::StatusOr<std::int64_t> Int(std::size_t parameter) const;
  absl::StatusOr<std::int64_t> IntOr(std::size_t parameter, std::int64_t fallback) const;
  /// The truth of the argument.
  bool BoolOr(std::size_t parameter, bool fallback) const;

 private:
  absl::Status Error(std::size_t parameter, std::string_view what) const;

  std::string function_;
  std::vector<std::string_view> parameters_;
  std::vector<const Value*> values_;
};

}  // namespace moesaic::model::jinja
