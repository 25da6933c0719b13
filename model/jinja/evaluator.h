#pragma once

#include "absl/status/statusor.h"
#include "model/jinja/ast.h"
#include "model/jinja/runtime.h"
#include "model/jinja/scope.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// Computes expressions in one scope. Single-thread; borrows everything.
class Evaluator {
 public:
  /// `filter_input`: what a filter without an input works on; null outside filter blocks.
  Evaluator(Runtime& runtime, const Scope& scope, const Value* filter_input = nullptr)
      : runtime_(runtime), scope_(scope), filter_input_(filter_input) {}

  /// Errors: InvalidArgument for a mistake in the template, ResourceExhausted for a limit.
  absl::StatusOr<Value> Evaluate(const Expression& expression);
  /// The arguments of a call.
  absl::StatusOr<CallArguments> EvaluateArguments(const ArgumentList& arguments);
  /// Calls with the given further arguments.
  absl::StatusOr<Value> EvaluateCall(const Call& call, CallArguments extra);

 private:
  absl::StatusOr<Value> Visit(const Literal& node);
  absl::StatusOr<Value> Visit(const NameReference& node);
  absl::StatusOr<Value> Visit(const SequenceDisplay& node);
  absl::StatusOr<Value> Visit(const DictDisplay& node);
  absl::StatusOr<Value> Visit(const Sign& node);
  absl::StatusOr<Value> Visit(const Not& node);
  absl::StatusOr<Value> Visit(const Binary& node);
  absl::StatusOr<Value> Visit(const Concatenation& node);
  absl::StatusOr<Value> Visit(const Comparison& node);
  absl::StatusOr<Value> Visit(const Logical& node);
  absl::StatusOr<Value> Visit(const Conditional& node);
  absl::StatusOr<Value> Visit(const Attribute& node);
  absl::StatusOr<Value> Visit(const Subscript& node);
  absl::StatusOr<Value> Visit(const Slice& node);
  absl::StatusOr<Value> Visit(const Call& node);
  absl::StatusOr<Value> Visit(const Filter& node);
  absl::StatusOr<Value> Visit(const Test& node);

  /// None for an absent bound.
  absl::StatusOr<Value> Bound(const ExpressionPtr& expression);

  Runtime& runtime_;
  const Scope& scope_;
  const Value* filter_input_;
};

}  // namespace moesaic::model::jinja
