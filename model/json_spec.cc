#include "model/json_spec.h"

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::model {
namespace {

const nlohmann::json& Null() {
  static const nlohmann::json null;
  return null;
}

}  // namespace

bool JsonSpec::Has(std::string_view key) const { return !(*this)[key].is_null(); }

JsonSpec JsonSpec::operator[](std::string_view key) const {
  std::string path = absl::StrCat(path_, ".", base::ToAbsl(key));
  if (!value_->is_object()) return {Null(), std::move(path)};
  const auto it = value_->find(key);
  return {it == value_->end() ? Null() : *it, std::move(path)};
}

JsonSpec JsonSpec::At(std::size_t index) const {
  return {(*value_)[index], absl::StrCat(path_, "[", index, "]")};
}

absl::StatusOr<bool> JsonSpec::Bool() const {
  if (!value_->is_boolean()) return Error("expected true or false");
  return value_->get<bool>();
}

absl::StatusOr<std::int64_t> JsonSpec::Int(std::int64_t min, std::int64_t max) const {
  if (!value_->is_number_integer()) return Error("expected an integer");
  const bool huge = value_->is_number_unsigned() &&
                    value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t number = huge ? INT64_MAX : value_->get<std::int64_t>();
  if (huge || number < min || number > max) {
    return Error(absl::StrCat(value_->dump(), " is outside [", min, ", ", max, "]"));
  }
  return number;
}

absl::StatusOr<std::string> JsonSpec::String() const {
  if (!value_->is_string()) return Error("expected a string");
  return value_->get<std::string>();
}

absl::StatusOr<bool> JsonSpec::BoolOr(bool fallback) const {
  if (is_null()) return fallback;
  return Bool();
}

absl::StatusOr<std::int64_t> JsonSpec::IntOr(std::int64_t min, std::int64_t max,
                                             std::int64_t fallback) const {
  if (is_null()) return fallback;
  return Int(min, max);
}

absl::StatusOr<std::string> JsonSpec::StringOrEmpty() const {
  if (is_null()) return std::string();
  return String();
}

absl::StatusOr<std::size_t> JsonSpec::ArraySize() const {
  if (!value_->is_array()) return Error("expected an array");
  return value_->size();
}

absl::Status JsonSpec::ForEachComponent(
    int depth, absl::FunctionRef<absl::Status(const JsonSpec&, int)> read) const {
  if (depth >= kMaxComponentDepth) return Error("nested too deeply");
  MOESAIC_ASSIGN_OR_RETURN(const std::size_t count, ArraySize());
  for (std::size_t i = 0; i < count; ++i) MOESAIC_RETURN_IF_ERROR(read(At(i), depth + 1));
  return absl::OkStatus();
}

absl::StatusOr<std::string> JsonSpec::Type() const {
  if (!value_->is_object()) return Error("expected an object");
  return (*this)["type"].String();
}

absl::Status JsonSpec::Error(std::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ": ", base::ToAbsl(what)));
}

absl::Status JsonSpec::UnknownType(std::string_view type) const {
  return absl::UnimplementedError(
      absl::StrCat(path_, ": unsupported type '", base::ToAbsl(type), "'"));
}

}  // namespace moesaic::model
