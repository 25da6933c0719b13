#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/jinja/ast.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// Python's operators on values. Errors: InvalidArgument as Python's TypeError and the like;
/// ResourceExhausted for what is too large.

absl::StatusOr<Value> Apply(Runtime& runtime, BinaryOperator op, const Value& left,
                            const Value& right);
absl::StatusOr<Value> Negate(Runtime& runtime, const Value& value);

absl::StatusOr<bool> Equals(Runtime& runtime, const Value& left, const Value& right);
/// Negative, zero or positive. Errors: InvalidArgument when the types have no order.
absl::StatusOr<int> Order(Runtime& runtime, const Value& left, const Value& right);
absl::StatusOr<bool> Compare(Runtime& runtime, CompareOperator op, const Value& left,
                             const Value& right);
/// `item in container`.
absl::StatusOr<bool> Contains(Runtime& runtime, const Value& container, const Value& item);

/// What a loop over the value sees: elements, keys or characters; nothing for undefined.
absl::StatusOr<std::vector<Value>> Iterate(Runtime& runtime, const Value& value);
/// len(value).
absl::StatusOr<std::int64_t> Length(Runtime& runtime, const Value& value);

/// value.name: a method, an attribute or the element of a dict; undefined when there is none.
absl::StatusOr<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name);
/// value[key]: an element, else an attribute; undefined when there is none.
absl::StatusOr<Value> GetItem(Runtime& runtime, const Value& value, const Value& key);
/// value[start:stop:step]; none stands for an absent bound.
absl::StatusOr<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start,
                               const Value& stop, const Value& step);

/// A dict with one more key. `key` may be of any type that has no parts.
absl::Status SetKey(Runtime& runtime, Mapping& mapping, const Value& key, Value value);

}  // namespace moesaic::model::jinja
