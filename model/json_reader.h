#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace moesaic::model {

/// Parses a JSON text whose top is an object. Errors: InvalidArgument naming `path`.
absl::StatusOr<nlohmann::json> ParseJsonObject(std::string_view text, std::string_view path);

/// Reads typed, bounded values out of one JSON object. The first error is kept in the status
/// shared by a reader and the readers of its sub-objects, and every later read is harmless: a
/// failed read returns a value inside the bounds asked for. So a caller reads everything and
/// checks the status once, before using any of it. A null counts as absent.
/// Borrows object and status; single-thread.
class JsonReader {
 public:
  /// `where` begins every message: the file's path, and the key of a sub-object.
  JsonReader(const nlohmann::json& object, std::string where, absl::Status& status)
      : object_(object), where_(std::move(where)), status_(status) {}

  bool Has(std::string_view key) const { return Value(key) != nullptr; }
  /// The value, or nullptr when absent or null.
  const nlohmann::json* Value(std::string_view key) const;
  bool ok() const { return status_.ok(); }

  /// Required; min ≤ value ≤ max.
  std::int64_t Int(std::string_view key, std::int64_t min, std::int64_t max);
  std::int64_t Int(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback);
  std::optional<std::int64_t> OptionalInt(std::string_view key, std::int64_t min, std::int64_t max);
  /// Required; finite, min ≤ value ≤ max. Integers count as numbers.
  double Number(std::string_view key, double min, double max);
  double Number(std::string_view key, double min, double max, double fallback);
  std::optional<double> OptionalNumber(std::string_view key, double min, double max);
  bool Bool(std::string_view key, bool fallback);
  std::optional<bool> OptionalBool(std::string_view key);
  std::string String(std::string_view key, std::string_view fallback);
  /// Absent: empty. One integer counts as a list of one when `or_single`.
  std::vector<std::int64_t> Ints(std::string_view key, std::int64_t min, std::int64_t max,
                                 bool or_single = false);
  std::vector<std::string> Strings(std::string_view key);
  /// A reader of the sub-object, or nothing when absent.
  std::optional<JsonReader> Object(std::string_view key);

  /// Records InvalidArgument "where: key: problem" unless an error is already recorded.
  void Invalid(std::string_view key, std::string_view problem);
  /// The same with Unimplemented.
  void Unsupported(std::string_view key, std::string_view problem);

 private:
  void Fail(absl::StatusCode code, std::string_view key, std::string_view problem);
  std::int64_t CheckedInt(std::string_view key, const nlohmann::json& value, std::int64_t min,
                          std::int64_t max);

  const nlohmann::json& object_;
  const std::string where_;
  absl::Status& status_;
};

}  // namespace moesaic::model
