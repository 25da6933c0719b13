#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "model/jinja/ast.h"
#include "model/jinja/runtime.h"
#include "model/jinja/scope.h"

namespace moesaic::model::jinja {

/// Runs the statements of a program. Single-thread, used once; the program and the runtime must
/// outlive it.
class Interpreter {
 public:
  explicit Interpreter(Runtime& runtime) : runtime_(runtime) {}
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  /// The text of `program` with the variables of `scope`. Errors: InvalidArgument with the line, or
  /// with the message the template raised; ResourceExhausted.
  absl::StatusOr<std::string> Run(const Program& program, const ScopePtr& scope);

 private:
  class MacroObject;
  /// What a statement does to the loop around it.
  enum class Flow { kNext, kBreak, kContinue };

  absl::StatusOr<Flow> RunBody(const Body& body, const ScopePtr& scope);
  absl::StatusOr<Flow> RunStatement(const Statement& statement, const ScopePtr& scope);
  /// The text that a body writes, in a scope of its own.
  absl::StatusOr<Value> Capture(const Body& body, const ScopePtr& outer);

  absl::StatusOr<Flow> Visit(const Text& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Output& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const If& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const For& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Set& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const SetBlock& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Macro& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const CallBlock& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const FilterBlock& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const With& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Transparent& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Break& node, const ScopePtr& scope);
  absl::StatusOr<Flow> Visit(const Continue& node, const ScopePtr& scope);

  absl::StatusOr<Flow> RunLoop(const For& node, const Value& iterable, std::size_t depth0,
                               const ScopePtr& scope);
  /// The elements for which the loop's condition holds.
  absl::StatusOr<std::vector<Value>> LoopItems(const For& node, const Value& iterable,
                                               const ScopePtr& scope);
  absl::StatusOr<Value> CallMacro(const Macro& macro, const CallArguments& arguments,
                                  const ScopePtr& outer);
  absl::Status BindParameters(const Macro& macro, const CallArguments& arguments, Scope& scope);
  absl::Status Assign(const Target& target, const Value& value, Scope& scope);
  absl::Status Emit(std::string_view text);

  Runtime& runtime_;
  std::string output_;
  /// Where the first error came up.
  int error_line_ = 0;
};

}  // namespace moesaic::model::jinja
