#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace moesaic::model {

/// Nesting of components ("Sequence" in "Sequence") that tokenizer.json may have.
inline constexpr int kMaxComponentDepth = 16;

/// A borrowed part of a JSON file with the path that leads to it, so that every error can name the
/// key. Immutable; the JSON value must outlive it. Errors are InvalidArgument.
class JsonSpec {
 public:
  /// `path`: for messages, as "tokenizer.json: decoder".
  JsonSpec(const nlohmann::json& value, std::string path)
      : value_(&value), path_(std::move(path)) {}

  const nlohmann::json& value() const { return *value_; }
  const std::string& path() const { return path_; }
  bool is_null() const { return value_->is_null(); }
  /// True when this is an object with `key` present and not null.
  bool Has(std::string_view key) const;
  /// The member `key` of an object; absent members read as null.
  JsonSpec operator[](std::string_view key) const;
  /// Element `index` of an array. Requires: in range.
  JsonSpec At(std::size_t index) const;

  absl::StatusOr<bool> Bool() const;
  absl::StatusOr<std::int64_t> Int(std::int64_t min, std::int64_t max) const;
  absl::StatusOr<std::string> String() const;
  /// As Bool and Int, with a value for null.
  absl::StatusOr<bool> BoolOr(bool fallback) const;
  absl::StatusOr<std::int64_t> IntOr(std::int64_t min, std::int64_t max,
                                     std::int64_t fallback) const;
  /// Null and the empty string read as nothing.
  absl::StatusOr<std::string> StringOrEmpty() const;
  /// Elements of an array.
  absl::StatusOr<std::size_t> ArraySize() const;
  /// Calls `read` with each element, and the depth one below `depth`: the components of a
  /// "Sequence". Errors: those of `read`; what is nested deeper than kMaxComponentDepth.
  absl::Status ForEachComponent(
      int depth, absl::FunctionRef<absl::Status(const JsonSpec& component, int depth)> read) const;
  /// The member "type" of an object.
  absl::StatusOr<std::string> Type() const;

  /// InvalidArgument "path: what".
  absl::Status Error(std::string_view what) const;
  /// Unimplemented "path: unsupported type 'X'".
  absl::Status UnknownType(std::string_view type) const;

 private:
  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace moesaic::model
