#include "model/jinja/evaluator.h"

#include <string>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/filters.h"
#include "model/jinja/methods.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"

namespace moesaic::model::jinja {

absl::StatusOr<Value> Evaluator::Evaluate(const Expression& expression) {
  const Runtime::Level level(runtime_);
  MOESAIC_RETURN_IF_ERROR(level.ok());
  MOESAIC_RETURN_IF_ERROR(runtime_.Step());
  return std::visit([this](const auto& node) { return Visit(node); }, expression.node);
}

absl::StatusOr<CallArguments> Evaluator::EvaluateArguments(const ArgumentList& arguments) {
  CallArguments call;
  for (const ExpressionPtr& expression : arguments.positional) {
    MOESAIC_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    call.positional.push_back(std::move(value));
  }
  for (const auto& [name, expression] : arguments.named) {
    MOESAIC_ASSIGN_OR_RETURN(Value value, Evaluate(*expression));
    call.named.emplace_back(name, std::move(value));
  }
  return call;
}

absl::StatusOr<Value> Evaluator::Visit(const Literal& node) { return node.value; }

absl::StatusOr<Value> Evaluator::Visit(const NameReference& node) {
  const Value* value = scope_.Find(node.name);
  if (value == nullptr) return Value::Undefined(absl::StrCat("'", node.name, "' is undefined"));
  return *value;
}

absl::StatusOr<Value> Evaluator::Visit(const SequenceDisplay& node) {
  std::vector<Value> items;
  items.reserve(node.items.size());
  for (const ExpressionPtr& expression : node.items) {
    MOESAIC_ASSIGN_OR_RETURN(Value item, Evaluate(*expression));
    items.push_back(std::move(item));
  }
  return node.is_tuple ? runtime_.MakeTuple(std::move(items)) : runtime_.MakeList(std::move(items));
}

absl::StatusOr<Value> Evaluator::Visit(const DictDisplay& node) {
  Mapping mapping;
  for (const auto& [key_expression, value_expression] : node.items) {
    MOESAIC_ASSIGN_OR_RETURN(const Value key, Evaluate(*key_expression));
    MOESAIC_ASSIGN_OR_RETURN(Value value, Evaluate(*value_expression));
    MOESAIC_RETURN_IF_ERROR(SetKey(runtime_, mapping, key, std::move(value)));
  }
  return runtime_.MakeDict(std::move(mapping));
}

absl::StatusOr<Value> Evaluator::Visit(const Sign& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.operand));
  if (node.negative) return Negate(runtime_, value);
  return Apply(runtime_, BinaryOperator::kAdd, Value::Int(0), value);
}

absl::StatusOr<Value> Evaluator::Visit(const Not& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluate(*node.operand));
  return Value::Bool(!value.IsTrue());
}

absl::StatusOr<Value> Evaluator::Visit(const Binary& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value left, Evaluate(*node.left));
  MOESAIC_ASSIGN_OR_RETURN(const Value right, Evaluate(*node.right));
  return Apply(runtime_, node.op, left, right);
}

absl::StatusOr<Value> Evaluator::Visit(const Concatenation& node) {
  std::string text;
  for (const ExpressionPtr& part : node.parts) {
    MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluate(*part));
    MOESAIC_ASSIGN_OR_RETURN(const std::string piece, ToText(runtime_, value));
    MOESAIC_RETURN_IF_ERROR(runtime_.Charge(piece.size()));
    text.append(piece);
  }
  return Value::String(std::move(text));
}

absl::StatusOr<Value> Evaluator::Visit(const Comparison& node) {
  MOESAIC_ASSIGN_OR_RETURN(Value left, Evaluate(*node.first));
  for (const auto& [op, operand] : node.rest) {
    MOESAIC_ASSIGN_OR_RETURN(Value right, Evaluate(*operand));
    MOESAIC_ASSIGN_OR_RETURN(const bool holds, Compare(runtime_, op, left, right));
    if (!holds) return Value::Bool(false);
    left = std::move(right);
  }
  return Value::Bool(true);
}

absl::StatusOr<Value> Evaluator::Visit(const Logical& node) {
  MOESAIC_ASSIGN_OR_RETURN(Value left, Evaluate(*node.left));
  if (left.IsTrue() != node.is_and) return left;
  return Evaluate(*node.right);
}

absl::StatusOr<Value> Evaluator::Visit(const Conditional& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value test, Evaluate(*node.test));
  if (test.IsTrue()) return Evaluate(*node.then);
  if (node.otherwise != nullptr) return Evaluate(*node.otherwise);
  return Value::Undefined("the inline if-expression evaluated to false and has no else");
}

absl::StatusOr<Value> Evaluator::Visit(const Attribute& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  return GetAttribute(runtime_, object, node.name);
}

absl::StatusOr<Value> Evaluator::Visit(const Subscript& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  MOESAIC_ASSIGN_OR_RETURN(const Value index, Evaluate(*node.index));
  return GetItem(runtime_, object, index);
}

absl::StatusOr<Value> Evaluator::Bound(const ExpressionPtr& expression) {
  if (expression == nullptr) return Value::None();
  return Evaluate(*expression);
}

absl::StatusOr<Value> Evaluator::Visit(const Slice& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value object, Evaluate(*node.object));
  MOESAIC_ASSIGN_OR_RETURN(const Value start, Bound(node.start));
  MOESAIC_ASSIGN_OR_RETURN(const Value stop, Bound(node.stop));
  MOESAIC_ASSIGN_OR_RETURN(const Value step, Bound(node.step));
  return GetSlice(runtime_, object, start, stop, step);
}

absl::StatusOr<Value> Evaluator::Visit(const Call& node) { return EvaluateCall(node, {}); }

absl::StatusOr<Value> Evaluator::EvaluateCall(const Call& call, CallArguments extra) {
  Value callee;
  Method method = nullptr;
  Value self;
  if (const auto* attribute = std::get_if<Attribute>(&call.callee->node)) {
    // A method called at once needs no object of its own.
    MOESAIC_ASSIGN_OR_RETURN(self, Evaluate(*attribute->object));
    method = FindMethod(self, attribute->name);
    if (method == nullptr) {
      MOESAIC_ASSIGN_OR_RETURN(callee, GetAttribute(runtime_, self, attribute->name));
    }
  } else {
    MOESAIC_ASSIGN_OR_RETURN(callee, Evaluate(*call.callee));
  }
  MOESAIC_ASSIGN_OR_RETURN(CallArguments arguments, EvaluateArguments(call.arguments));
  for (auto& named : extra.named) arguments.named.push_back(std::move(named));
  if (method != nullptr) return method(runtime_, self, arguments);
  if (callee.is_undefined()) return absl::InvalidArgumentError(callee.UndefinedMessage());
  if (callee.is_object()) return callee.AsObject().Call(arguments);
  return absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(callee.TypeName()), "' object is not callable"));
}

absl::StatusOr<Value> Evaluator::Visit(const Filter& node) {
  Value input;
  if (node.input != nullptr) {
    MOESAIC_ASSIGN_OR_RETURN(input, Evaluate(*node.input));
  } else if (filter_input_ != nullptr) {
    input = *filter_input_;
  }
  MOESAIC_ASSIGN_OR_RETURN(const CallArguments arguments, EvaluateArguments(node.arguments));
  return ApplyFilter(runtime_, node.name, input, arguments);
}

absl::StatusOr<Value> Evaluator::Visit(const Test& node) {
  MOESAIC_ASSIGN_OR_RETURN(const Value input, Evaluate(*node.input));
  MOESAIC_ASSIGN_OR_RETURN(const CallArguments arguments, EvaluateArguments(node.arguments));
  MOESAIC_ASSIGN_OR_RETURN(const bool passes, ApplyTest(runtime_, node.name, input, arguments));
  return Value::Bool(passes != node.negated);
}

}  // namespace moesaic::model::jinja
