#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/filters.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"
#include "model/jinja/text.h"

namespace moesaic::model::jinja {
namespace {

using TestResult = absl::StatusOr<bool>;

bool IsDefined(const Value& value) { return !value.is_undefined(); }
bool IsUndefined(const Value& value) { return value.is_undefined(); }
bool IsNone(const Value& value) { return value.is_none(); }
bool IsBoolean(const Value& value) { return value.is_bool(); }
bool IsFalse(const Value& value) { return value.is_bool() && !value.AsBool(); }
bool IsTrueValue(const Value& value) { return value.is_bool() && value.AsBool(); }
bool IsInteger(const Value& value) { return value.is_int(); }
bool IsFloat(const Value& value) { return value.is_float(); }
bool IsNumber(const Value& value) { return value.is_number(); }
bool IsString(const Value& value) { return value.is_string(); }
bool IsMapping(const Value& value) { return value.is_mapping(); }
bool IsSequence(const Value& value) {
  // Anything with a length and elements, Undefined included.
  return value.is_sequence() || value.is_string() || value.is_mapping() || value.is_undefined();
}
bool IsCallable(const Value& value) { return value.is_object() && value.AsObject().IsCallable(); }
bool Never(const Value&) { return false; }

template <bool (*kPredicate)(const Value&)>
TestResult Plain(Runtime&, const Value& input, const CallArguments& call) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("test", call, {}).status());
  return kPredicate(input);
}

template <CompareOperator kOperator>
TestResult Comparing(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("test", call, {"other"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value other, arguments.Get(0));
  return Compare(runtime, kOperator, input, other);
}

absl::StatusOr<std::int64_t> Remainder(Runtime& runtime, const Value& input, const Value& by) {
  MOESAIC_ASSIGN_OR_RETURN(const Value value, Apply(runtime, BinaryOperator::kModulo, input, by));
  if (!value.is_number()) return absl::InvalidArgumentError("a number is required");
  return value.AsFloat() == 0 ? 0 : 1;
}

TestResult DivisibleBy(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("divisibleby", call, {"num"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value by, arguments.Get(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t remainder, Remainder(runtime, input, by));
  return remainder == 0;
}

TestResult Even(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t remainder, Remainder(runtime, input, Value::Int(2)));
  return remainder == 0;
}

TestResult Odd(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t remainder, Remainder(runtime, input, Value::Int(2)));
  return remainder != 0;
}

TestResult SameAs(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("sameas", call, {"other"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value other, arguments.Get(0));
  if (input.TypeName() != other.TypeName()) return false;
  return Equals(runtime, input, other);
}

TestResult LowerTest(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  return Lower(text) == text && Upper(text) != text;
}

TestResult UpperTest(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  return Upper(text) == text && Lower(text) != text;
}

TestResult FilterTest(Runtime&, const Value& input, const CallArguments&) {
  return input.is_string() && FindFilter(input.AsString()) != nullptr;
}

TestResult TestTest(Runtime&, const Value& input, const CallArguments&) {
  return input.is_string() && FindTest(input.AsString()) != nullptr;
}

}  // namespace

TestFunction FindTest(std::string_view name) {
  static const auto& tests = *new absl::flat_hash_map<std::string, TestFunction>{
      {"defined", &Plain<IsDefined>},
      {"undefined", &Plain<IsUndefined>},
      {"none", &Plain<IsNone>},
      {"boolean", &Plain<IsBoolean>},
      {"false", &Plain<IsFalse>},
      {"true", &Plain<IsTrueValue>},
      {"integer", &Plain<IsInteger>},
      {"float", &Plain<IsFloat>},
      {"number", &Plain<IsNumber>},
      {"string", &Plain<IsString>},
      {"mapping", &Plain<IsMapping>},
      {"sequence", &Plain<IsSequence>},
      {"iterable", &Plain<IsSequence>},
      {"callable", &Plain<IsCallable>},
      {"escaped", &Plain<Never>},
      {"eq", &Comparing<CompareOperator::kEq>},
      {"equalto", &Comparing<CompareOperator::kEq>},
      {"==", &Comparing<CompareOperator::kEq>},
      {"ne", &Comparing<CompareOperator::kNe>},
      {"!=", &Comparing<CompareOperator::kNe>},
      {"lt", &Comparing<CompareOperator::kLt>},
      {"lessthan", &Comparing<CompareOperator::kLt>},
      {"<", &Comparing<CompareOperator::kLt>},
      {"le", &Comparing<CompareOperator::kLe>},
      {"<=", &Comparing<CompareOperator::kLe>},
      {"gt", &Comparing<CompareOperator::kGt>},
      {"greaterthan", &Comparing<CompareOperator::kGt>},
      {">", &Comparing<CompareOperator::kGt>},
      {"ge", &Comparing<CompareOperator::kGe>},
      {">=", &Comparing<CompareOperator::kGe>},
      {"in", &Comparing<CompareOperator::kIn>},
      {"divisibleby", &DivisibleBy},
      {"even", &Even},
      {"odd", &Odd},
      {"sameas", &SameAs},
      {"lower", &LowerTest},
      {"upper", &UpperTest},
      {"filter", &FilterTest},
      {"test", &TestTest},
  };
  const auto it = tests.find(base::ToAbsl(name));
  return it == tests.end() ? nullptr : it->second;
}

}  // namespace moesaic::model::jinja
