#include "model/jinja/interpreter.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/jinja/evaluator.h"
#include "model/jinja/objects.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"

namespace moesaic::model::jinja {
namespace {

/// What a scope takes, roughly: a small table.
constexpr std::size_t kScopeBytes = 64;

}  // namespace

/// A macro, or the body of a call block, with the scope it was defined in.
class Interpreter::MacroObject final : public Object {
 public:
  MacroObject(Interpreter& interpreter, const Macro& macro, const ScopePtr& scope)
      : interpreter_(interpreter), macro_(macro), scope_(scope) {}
  std::string_view TypeName() const override { return "Macro"; }
  bool IsCallable() const override { return true; }
  std::optional<Value> GetAttribute(std::string_view name) const override {
    if (name == "name") return Value::String(macro_.name);
    return std::nullopt;
  }
  absl::StatusOr<Value> Call(const CallArguments& arguments) override {
    const ScopePtr scope = scope_.lock();
    if (scope == nullptr) {
      return absl::InvalidArgumentError("macro is called outside the block that defines it");
    }
    return interpreter_.CallMacro(macro_, arguments, scope);
  }

 private:
  Interpreter& interpreter_;
  const Macro& macro_;
  // The scope holds the macro, so the macro must not hold the scope.
  std::weak_ptr<Scope> scope_;
};

absl::StatusOr<std::string> Interpreter::Run(const Program& program, const ScopePtr& scope) {
  const absl::StatusOr<Flow> flow = RunBody(program.body, scope);
  if (flow.ok()) return std::move(output_);
  if (runtime_.raised()) return flow.status();
  return absl::Status(flow.status().code(), absl::StrCat("chat template line ", error_line_, ": ",
                                                         flow.status().message()));
}

absl::StatusOr<Interpreter::Flow> Interpreter::RunBody(const Body& body, const ScopePtr& scope) {
  for (const Statement& statement : body) {
    MOESAIC_ASSIGN_OR_RETURN(const Flow flow, RunStatement(statement, scope));
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::RunStatement(const Statement& statement,
                                                            const ScopePtr& scope) {
  const Runtime::Level level(runtime_);
  const auto run = [&]() -> absl::StatusOr<Flow> {
    MOESAIC_RETURN_IF_ERROR(level.ok());
    MOESAIC_RETURN_IF_ERROR(runtime_.Step());
    return std::visit([&](const auto& node) { return Visit(node, scope); }, statement.node);
  };
  absl::StatusOr<Flow> flow = run();
  if (!flow.ok() && error_line_ == 0) error_line_ = statement.line;
  return flow;
}

absl::StatusOr<Value> Interpreter::Capture(const Body& body, const ScopePtr& outer) {
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(kScopeBytes));
  std::string text = std::exchange(output_, std::string());
  const absl::StatusOr<Flow> flow = RunBody(body, std::make_shared<Scope>(outer));
  std::swap(text, output_);
  if (!flow.ok()) return flow.status();
  return Value::String(std::move(text));
}

absl::Status Interpreter::Emit(std::string_view text) {
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(text.size()));
  output_.append(text);
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Text& node, const ScopePtr&) {
  MOESAIC_RETURN_IF_ERROR(Emit(node.text));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Output& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluator(runtime_, *scope).Evaluate(*node.value));
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(Emit(value.AsString()));
  } else {
    MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime_, value));
    MOESAIC_RETURN_IF_ERROR(Emit(text));
  }
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const If& node, const ScopePtr& scope) {
  for (const auto& [test, body] : node.branches) {
    MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluator(runtime_, *scope).Evaluate(*test));
    if (value.IsTrue()) return RunBody(body, scope);
  }
  return RunBody(node.otherwise, scope);
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const For& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(const Value iterable,
                           Evaluator(runtime_, *scope).Evaluate(*node.iterable));
  return RunLoop(node, iterable, 0, scope);
}

absl::StatusOr<std::vector<Value>> Interpreter::LoopItems(const For& node, const Value& iterable,
                                                          const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime_, iterable));
  if (node.condition == nullptr) return items;
  std::vector<Value> kept;
  for (Value& item : items) {
    Scope inner(scope);
    MOESAIC_RETURN_IF_ERROR(Assign(node.target, item, inner));
    MOESAIC_ASSIGN_OR_RETURN(const Value keep,
                             Evaluator(runtime_, inner).Evaluate(*node.condition));
    if (keep.IsTrue()) kept.push_back(std::move(item));
  }
  return kept;
}

absl::StatusOr<Interpreter::Flow> Interpreter::RunLoop(const For& node, const Value& iterable,
                                                       std::size_t depth0, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Value> items, LoopItems(node, iterable, scope));
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(kScopeBytes));
  if (items.empty()) {
    return RunBody(node.otherwise, std::make_shared<Scope>(scope));
  }
  FunctionObject::Function recurse;
  if (node.recursive) {
    recurse = [this, &node, depth0, weak = std::weak_ptr<Scope>(scope)](
                  const CallArguments& call) -> absl::StatusOr<Value> {
      const ScopePtr outer = weak.lock();
      if (outer == nullptr || call.positional.size() != 1) {
        return absl::InvalidArgumentError("loop(…) takes one iterable, inside its loop");
      }
      std::string text = std::exchange(output_, std::string());
      const absl::StatusOr<Flow> flow = RunLoop(node, call.positional[0], depth0 + 1, outer);
      std::swap(text, output_);
      if (!flow.ok()) return flow.status();
      return Value::String(std::move(text));
    };
  }
  MOESAIC_ASSIGN_OR_RETURN(
      const Value loop_value,
      runtime_.MakeObject<LoopObject>(runtime_, std::move(items), depth0, std::move(recurse)));
  auto& loop = static_cast<LoopObject&>(loop_value.AsObject());
  for (std::size_t i = 0; i < loop.items().size(); ++i) {
    MOESAIC_RETURN_IF_ERROR(runtime_.Step());
    loop.MoveTo(i);
    const auto turn = std::make_shared<Scope>(scope);
    turn->Set("loop", loop_value);
    MOESAIC_RETURN_IF_ERROR(Assign(node.target, loop.items()[i], *turn));
    MOESAIC_ASSIGN_OR_RETURN(const Flow flow, RunBody(node.body, turn));
    if (flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

absl::Status Interpreter::Assign(const Target& target, const Value& value, Scope& scope) {
  if (!target.elements.empty()) {
    MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime_, value));
    if (items.size() != target.elements.size()) {
      return absl::InvalidArgumentError(
          absl::StrCat("cannot unpack ", items.size(), " values into ", target.elements.size()));
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      MOESAIC_RETURN_IF_ERROR(Assign(target.elements[i], items[i], scope));
    }
    return absl::OkStatus();
  }
  if (target.attribute.empty()) {
    scope.Set(target.name, value);
    return absl::OkStatus();
  }
  const Value* object = scope.Find(target.name);
  auto* space = object != nullptr && object->is_object()
                    ? dynamic_cast<NamespaceObject*>(&object->AsObject())
                    : nullptr;
  if (space == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot assign attribute of '", target.name, "': it is no namespace"));
  }
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(kScopeBytes));
  space->SetAttribute(target.attribute, value);
  return absl::OkStatus();
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Set& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluator(runtime_, *scope).Evaluate(*node.value));
  MOESAIC_RETURN_IF_ERROR(Assign(node.target, value, *scope));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const SetBlock& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(Value value, Capture(node.body, scope));
  if (node.filter != nullptr) {
    const Value text = value;
    MOESAIC_ASSIGN_OR_RETURN(value, Evaluator(runtime_, *scope, &text).Evaluate(*node.filter));
  }
  MOESAIC_RETURN_IF_ERROR(Assign(node.target, value, *scope));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Macro& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(Value macro, runtime_.MakeObject<MacroObject>(*this, node, scope));
  scope->Set(node.name, std::move(macro));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const CallBlock& node, const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(Value caller,
                           runtime_.MakeObject<MacroObject>(*this, node.caller, scope));
  CallArguments extra;
  extra.named.emplace_back("caller", std::move(caller));
  MOESAIC_ASSIGN_OR_RETURN(
      const Value value,
      Evaluator(runtime_, *scope).EvaluateCall(std::get<Call>(node.call->node), std::move(extra)));
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime_, value));
  MOESAIC_RETURN_IF_ERROR(Emit(text));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const FilterBlock& node,
                                                     const ScopePtr& scope) {
  MOESAIC_ASSIGN_OR_RETURN(const Value text, Capture(node.body, scope));
  MOESAIC_ASSIGN_OR_RETURN(const Value value,
                           Evaluator(runtime_, *scope, &text).Evaluate(*node.filter));
  MOESAIC_ASSIGN_OR_RETURN(const std::string filtered, ToText(runtime_, value));
  MOESAIC_RETURN_IF_ERROR(Emit(filtered));
  return Flow::kNext;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const With& node, const ScopePtr& scope) {
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(kScopeBytes));
  const auto inner = std::make_shared<Scope>(scope);
  for (const auto& [target, expression] : node.bindings) {
    // Bindings see what is outside, not each other.
    MOESAIC_ASSIGN_OR_RETURN(const Value value, Evaluator(runtime_, *scope).Evaluate(*expression));
    MOESAIC_RETURN_IF_ERROR(Assign(target, value, *inner));
  }
  return RunBody(node.body, inner);
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Transparent& node,
                                                     const ScopePtr& scope) {
  return RunBody(node.body, scope);
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Break&, const ScopePtr&) {
  return Flow::kBreak;
}

absl::StatusOr<Interpreter::Flow> Interpreter::Visit(const Continue&, const ScopePtr&) {
  return Flow::kContinue;
}

absl::StatusOr<Value> Interpreter::CallMacro(const Macro& macro, const CallArguments& arguments,
                                             const ScopePtr& outer) {
  MOESAIC_RETURN_IF_ERROR(runtime_.Charge(kScopeBytes));
  const auto scope = std::make_shared<Scope>(outer);
  MOESAIC_RETURN_IF_ERROR(BindParameters(macro, arguments, *scope));
  return Capture(macro.body, scope);
}

absl::Status Interpreter::BindParameters(const Macro& macro, const CallArguments& arguments,
                                         Scope& scope) {
  const std::size_t count = macro.parameters.size();
  const std::size_t given = std::min(arguments.positional.size(), count);
  Mapping further;
  std::vector<bool> bound(count, false);
  for (std::size_t i = 0; i < given; ++i) {
    scope.Set(macro.parameters[i].name, arguments.positional[i]);
    bound[i] = true;
  }
  for (const auto& [name, value] : arguments.named) {
    const auto it = std::find_if(macro.parameters.begin(), macro.parameters.end(),
                                 [&name = name](const Parameter& p) { return p.name == name; });
    if (it != macro.parameters.end()) {
      bound[it - macro.parameters.begin()] = true;
      scope.Set(name, value);
    } else if (name == "caller") {
      scope.Set(name, value);
    } else {
      further.Set(name, value);
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (bound[i]) continue;
    const Parameter& parameter = macro.parameters[i];
    Value value =
        Value::Undefined(absl::StrCat("parameter '", parameter.name, "' was not provided"));
    if (parameter.default_value != nullptr) {
      MOESAIC_ASSIGN_OR_RETURN(value,
                               Evaluator(runtime_, scope).Evaluate(*parameter.default_value));
    }
    scope.Set(parameter.name, std::move(value));
  }
  MOESAIC_ASSIGN_OR_RETURN(Value varargs, runtime_.MakeTuple({arguments.positional.begin() + given,
                                                              arguments.positional.end()}));
  scope.Set("varargs", std::move(varargs));
  MOESAIC_ASSIGN_OR_RETURN(Value kwargs, runtime_.MakeDict(std::move(further)));
  scope.Set("kwargs", std::move(kwargs));
  return absl::OkStatus();
}

}  // namespace moesaic::model::jinja
