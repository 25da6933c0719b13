#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/operations.h"
#include "model/jinja/percent_format.h"

namespace moesaic::model::jinja {
namespace {

std::string_view Symbol(BinaryOperator op) {
  switch (op) {
    case BinaryOperator::kAdd:
      return "+";
    case BinaryOperator::kSubtract:
      return "-";
    case BinaryOperator::kMultiply:
      return "*";
    case BinaryOperator::kDivide:
      return "/";
    case BinaryOperator::kFloorDivide:
      return "//";
    case BinaryOperator::kModulo:
      return "%";
    case BinaryOperator::kPower:
      return "**";
  }
  return "?";
}

absl::Status TypeError(BinaryOperator op, const Value& left, const Value& right) {
  for (const Value* value : {&left, &right}) {
    if (value->is_undefined()) return absl::InvalidArgumentError(value->UndefinedMessage());
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unsupported operand type(s) for ", base::ToAbsl(Symbol(op)), ": '",
                   base::ToAbsl(left.TypeName()), "' and '", base::ToAbsl(right.TypeName()), "'"));
}

absl::Status Overflow() { return absl::InvalidArgumentError("integer is out of range"); }
absl::Status DivisionByZero() { return absl::InvalidArgumentError("division by zero"); }

absl::StatusOr<Value> IntPower(std::int64_t base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) return DivisionByZero();
    return Value::Float(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  std::int64_t result = 1;
  for (; exponent > 0; exponent /= 2) {
    if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) return Overflow();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) return Overflow();
  }
  return Value::Int(result);
}

/// Python rounds the quotient down and gives the remainder the divisor's sign.
absl::StatusOr<Value> IntDivide(BinaryOperator op, std::int64_t a, std::int64_t b) {
  if (b == 0) return DivisionByZero();
  if (op == BinaryOperator::kDivide) {
    return Value::Float(static_cast<double>(a) / static_cast<double>(b));
  }
  if (b == -1) {
    if (op == BinaryOperator::kModulo) return Value::Int(0);
    if (a == INT64_MIN) return Overflow();
    return Value::Int(-a);
  }
  const std::int64_t remainder = a % b;
  const bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
  if (op == BinaryOperator::kModulo) return Value::Int(adjust ? remainder + b : remainder);
  return Value::Int(a / b - (adjust ? 1 : 0));
}

absl::StatusOr<Value> ApplyInt(BinaryOperator op, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (op) {
    case BinaryOperator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return Overflow();
      return Value::Int(result);
    case BinaryOperator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) return Overflow();
      return Value::Int(result);
    case BinaryOperator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) return Overflow();
      return Value::Int(result);
    case BinaryOperator::kPower:
      return IntPower(a, b);
    default:
      return IntDivide(op, a, b);
  }
}

absl::StatusOr<Value> ApplyFloat(BinaryOperator op, double a, double b) {
  switch (op) {
    case BinaryOperator::kAdd:
      return Value::Float(a + b);
    case BinaryOperator::kSubtract:
      return Value::Float(a - b);
    case BinaryOperator::kMultiply:
      return Value::Float(a * b);
    case BinaryOperator::kPower:
      return Value::Float(std::pow(a, b));
    default:
      break;
  }
  if (b == 0) return DivisionByZero();
  if (op == BinaryOperator::kDivide) return Value::Float(a / b);
  double remainder = std::fmod(a, b);
  if (remainder != 0 && (remainder < 0) != (b < 0)) remainder += b;
  if (op == BinaryOperator::kModulo) return Value::Float(remainder);
  return Value::Float(std::floor(a / b));
}

absl::StatusOr<Value> Join(Runtime& runtime, const Value& left, const Value& right) {
  if (left.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(left.AsString().size() + right.AsString().size()));
    return Value::String(left.AsString() + right.AsString());
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Step(left.AsItems().size() + right.AsItems().size()));
  std::vector<Value> items = left.AsItems();
  items.insert(items.end(), right.AsItems().begin(), right.AsItems().end());
  return left.is_tuple() ? runtime.MakeTuple(std::move(items)) : runtime.MakeList(std::move(items));
}

absl::StatusOr<Value> Repeat(Runtime& runtime, const Value& value, std::int64_t times) {
  const std::size_t count = times < 0 ? 0 : static_cast<std::size_t>(times);
  const std::size_t size = value.is_string() ? value.AsString().size() : value.AsItems().size();
  const std::size_t unit = value.is_string() ? 1 : sizeof(Value);
  if (size > 0 && count > runtime.options().max_bytes / (size * unit)) {
    return absl::ResourceExhaustedError("repetition is too long");
  }
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(size * count));
    std::string text;
    for (std::size_t i = 0; size > 0 && i < count; ++i) text.append(value.AsString());
    return Value::String(std::move(text));
  }
  std::vector<Value> items;
  MOESAIC_RETURN_IF_ERROR(runtime.Step(size * count));
  for (std::size_t i = 0; size > 0 && i < count; ++i) {
    items.insert(items.end(), value.AsItems().begin(), value.AsItems().end());
  }
  return value.is_tuple() ? runtime.MakeTuple(std::move(items))
                          : runtime.MakeList(std::move(items));
}

bool IsRepeatable(const Value& value) { return value.is_string() || value.is_sequence(); }

}  // namespace

absl::StatusOr<Value> Apply(Runtime& runtime, BinaryOperator op, const Value& left,
                            const Value& right) {
  if (left.is_integral() && right.is_integral()) return ApplyInt(op, left.AsInt(), right.AsInt());
  if (left.is_number() && right.is_number()) return ApplyFloat(op, left.AsFloat(), right.AsFloat());
  if (op == BinaryOperator::kAdd) {
    const bool strings = left.is_string() && right.is_string();
    const bool sequences =
        left.is_sequence() && right.is_sequence() && left.is_tuple() == right.is_tuple();
    if (strings || sequences) return Join(runtime, left, right);
    if (left.is_string() && !right.is_undefined()) {
      return absl::InvalidArgumentError(absl::StrCat("can only concatenate str (not \"",
                                                     base::ToAbsl(right.TypeName()), "\") to str"));
    }
  }
  if (op == BinaryOperator::kMultiply) {
    if (IsRepeatable(left) && right.is_integral()) return Repeat(runtime, left, right.AsInt());
    if (IsRepeatable(right) && left.is_integral()) return Repeat(runtime, right, left.AsInt());
  }
  if (op == BinaryOperator::kModulo && left.is_string()) {
    const std::vector<Value> arguments =
        right.is_tuple() ? right.AsItems() : std::vector<Value>{right};
    MOESAIC_ASSIGN_OR_RETURN(std::string text, FormatPercent(runtime, left.AsString(), arguments));
    return Value::String(std::move(text));
  }
  return TypeError(op, left, right);
}

absl::StatusOr<Value> Negate(Runtime& runtime, const Value& value) {
  if (value.is_float()) return Value::Float(-value.AsFloat());
  return Apply(runtime, BinaryOperator::kSubtract, Value::Int(0), value);
}

}  // namespace moesaic::model::jinja
