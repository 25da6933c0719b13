#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/operations.h"

namespace moesaic::model::jinja {
namespace {

int ThreeWay(auto a, auto b) { return a < b ? -1 : (b < a ? 1 : 0); }

absl::Status NoOrder(const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) return absl::InvalidArgumentError(value->UndefinedMessage());
  }
  return absl::InvalidArgumentError(absl::StrCat("'<' not supported between instances of '",
                                                 base::ToAbsl(left.TypeName()), "' and '",
                                                 base::ToAbsl(right.TypeName()), "'"));
}

absl::StatusOr<bool> EqualItems(Runtime& runtime, const std::vector<Value>& left,
                                const std::vector<Value>& right) {
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, left[i], right[i]));
    if (!equal) return false;
  }
  return true;
}

absl::StatusOr<const Value*> FindKey(Runtime& runtime, const Mapping& mapping, const Value& key) {
  if (key.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(key.AsString().size()));
    return mapping.Find(key.AsString());
  }
  for (const auto& [candidate, value] : mapping.items) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, candidate, key));
    if (equal) return &value;
  }
  return nullptr;
}

absl::StatusOr<bool> EqualMappings(Runtime& runtime, const Mapping& left, const Mapping& right) {
  if (left.items.size() != right.items.size()) return false;
  for (const auto& [key, value] : left.items) {
    MOESAIC_ASSIGN_OR_RETURN(const Value* other, FindKey(runtime, right, key));
    if (other == nullptr) return false;
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, value, *other));
    if (!equal) return false;
  }
  return true;
}

absl::StatusOr<int> OrderItems(Runtime& runtime, const std::vector<Value>& left,
                               const std::vector<Value>& right) {
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, left[i], right[i]));
    if (!equal) return Order(runtime, left[i], right[i]);
  }
  return ThreeWay(left.size(), right.size());
}

}  // namespace

absl::StatusOr<bool> Equals(Runtime& runtime, const Value& left, const Value& right) {
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  if (left.is_integral() && right.is_integral()) return left.AsInt() == right.AsInt();
  if (left.is_number() && right.is_number()) return left.AsFloat() == right.AsFloat();
  if (left.is_string() && right.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(left.AsString().size()));
    return left.AsString() == right.AsString();
  }
  if (left.is_sequence() && right.is_sequence() && left.is_tuple() == right.is_tuple()) {
    return EqualItems(runtime, left.AsItems(), right.AsItems());
  }
  if (left.is_mapping() && right.is_mapping()) {
    return EqualMappings(runtime, left.AsMapping(), right.AsMapping());
  }
  if (left.is_object() && right.is_object()) return &left.AsObject() == &right.AsObject();
  return (left.is_none() && right.is_none()) || (left.is_undefined() && right.is_undefined());
}

absl::StatusOr<int> Order(Runtime& runtime, const Value& left, const Value& right) {
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  if (left.is_integral() && right.is_integral()) return ThreeWay(left.AsInt(), right.AsInt());
  if (left.is_number() && right.is_number()) return ThreeWay(left.AsFloat(), right.AsFloat());
  if (left.is_string() && right.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(left.AsString().size()));
    // UTF-8 keeps the order of code points.
    return ThreeWay(left.AsString().compare(right.AsString()), 0);
  }
  if (left.is_sequence() && right.is_sequence() && left.is_tuple() == right.is_tuple()) {
    return OrderItems(runtime, left.AsItems(), right.AsItems());
  }
  return NoOrder(left, right);
}

absl::StatusOr<bool> Compare(Runtime& runtime, CompareOperator op, const Value& left,
                             const Value& right) {
  if (op == CompareOperator::kIn) return Contains(runtime, right, left);
  if (op == CompareOperator::kNotIn) {
    MOESAIC_ASSIGN_OR_RETURN(const bool contained, Contains(runtime, right, left));
    return !contained;
  }
  if (op == CompareOperator::kEq || op == CompareOperator::kNe) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, left, right));
    return equal == (op == CompareOperator::kEq);
  }
  const bool has_nan = (left.is_float() && std::isnan(left.AsFloat())) ||
                       (right.is_float() && std::isnan(right.AsFloat()));
  MOESAIC_ASSIGN_OR_RETURN(const int order, Order(runtime, left, right));
  if (has_nan) return false;
  switch (op) {
    case CompareOperator::kLt:
      return order < 0;
    case CompareOperator::kLe:
      return order <= 0;
    case CompareOperator::kGt:
      return order > 0;
    default:
      return order >= 0;
  }
}

absl::StatusOr<bool> Contains(Runtime& runtime, const Value& container, const Value& item) {
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  if (container.is_undefined()) return false;
  if (container.is_string()) {
    if (!item.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'in <string>' requires string as left operand, not ", base::ToAbsl(item.TypeName())));
    }
    MOESAIC_RETURN_IF_ERROR(
        runtime.StepSearch(container.AsString().size(), item.AsString().size()));
    return container.AsString().find(item.AsString()) != std::string::npos;
  }
  if (container.is_mapping()) {
    MOESAIC_ASSIGN_OR_RETURN(const Value* found, FindKey(runtime, container.AsMapping(), item));
    return found != nullptr;
  }
  if (container.is_sequence()) {
    for (const Value& candidate : container.AsItems()) {
      MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, candidate, item));
      if (equal) return true;
    }
    return false;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("argument of type '", base::ToAbsl(container.TypeName()), "' is not iterable"));
}

absl::Status SetKey(Runtime& runtime, Mapping& mapping, const Value& key, Value value) {
  if (key.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(key.AsString().size()));
    mapping.Set(key.AsString(), std::move(value));
    return absl::OkStatus();
  }
  if (key.is_mapping() || (key.is_sequence() && !key.is_tuple())) {
    return absl::InvalidArgumentError(
        absl::StrCat("unhashable type: '", base::ToAbsl(key.TypeName()), "'"));
  }
  for (auto& [candidate, old] : mapping.items) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, candidate, key));
    if (equal) {
      old = std::move(value);
      return absl::OkStatus();
    }
  }
  mapping.items.emplace_back(key, std::move(value));
  return absl::OkStatus();
}

}  // namespace moesaic::model::jinja
