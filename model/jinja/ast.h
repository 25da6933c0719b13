#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "model/jinja/value.h"

namespace moesaic::model::jinja {

struct Expression;
struct Statement;
using ExpressionPtr = std::unique_ptr<const Expression>;
using Body = std::vector<Statement>;

/// Arguments as written; a filter's or a test's come after the value it is applied to.
struct ArgumentList {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
};

enum class BinaryOperator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class CompareOperator { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

// Expressions.
struct Literal {
  Value value;
};
struct NameReference {
  std::string name;
};
struct SequenceDisplay {
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
};
struct DictDisplay {
  std::vector<std::pair<ExpressionPtr, ExpressionPtr>> items;
};
/// -x, +x.
struct Sign {
  bool negative = false;
  ExpressionPtr operand;
};
struct Not {
  ExpressionPtr operand;
};
struct Binary {
  BinaryOperator op;
  ExpressionPtr left;
  ExpressionPtr right;
};
/// a ~ b ~ c.
struct Concatenation {
  std::vector<ExpressionPtr> parts;
};
/// a < b <= c.
struct Comparison {
  ExpressionPtr first;
  std::vector<std::pair<CompareOperator, ExpressionPtr>> rest;
};
struct Logical {
  bool is_and = false;
  ExpressionPtr left;
  ExpressionPtr right;
};
/// `a if test else b`; without else the value may be undefined.
struct Conditional {
  ExpressionPtr test;
  ExpressionPtr then;
  ExpressionPtr otherwise;
};
struct Attribute {
  ExpressionPtr object;
  std::string name;
};
struct Subscript {
  ExpressionPtr object;
  ExpressionPtr index;
};
/// object[start:stop:step]; absent bounds are null.
struct Slice {
  ExpressionPtr object;
  ExpressionPtr start;
  ExpressionPtr stop;
  ExpressionPtr step;
};
struct Call {
  ExpressionPtr callee;
  ArgumentList arguments;
};
/// `input` is null for the outermost filter of a filter block: its input is the block.
struct Filter {
  ExpressionPtr input;
  std::string name;
  ArgumentList arguments;
};
struct Test {
  ExpressionPtr input;
  std::string name;
  ArgumentList arguments;
  bool negated = false;
};

struct Expression {
  int line = 0;
  /// Levels of expressions below this one, itself included.
  int depth = 1;
  std::variant<Literal, NameReference, SequenceDisplay, DictDisplay, Sign, Not, Binary,
               Concatenation, Comparison, Logical, Conditional, Attribute, Subscript, Slice, Call,
               Filter, Test>
      node;
};

/// What an assignment binds: a name, an attribute of a namespace, or several of these.
struct Target {
  std::string name;
  std::string attribute;
  std::vector<Target> elements;
};

struct Parameter {
  std::string name;
  ExpressionPtr default_value;
};

// Statements.
struct Text {
  std::string text;
};
struct Output {
  ExpressionPtr value;
};
struct If {
  std::vector<std::pair<ExpressionPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExpressionPtr iterable;
  ExpressionPtr condition;
  Body body;
  Body otherwise;
  bool recursive = false;
};
struct Set {
  Target target;
  ExpressionPtr value;
};
/// {% set x | filter %}…{% endset %}
struct SetBlock {
  Target target;
  ExpressionPtr filter;
  Body body;
};
struct Macro {
  std::string name;
  std::vector<Parameter> parameters;
  Body body;
};
/// {% call(args) macro() %}…{% endcall %}
struct CallBlock {
  Macro caller;
  ExpressionPtr call;
};
struct FilterBlock {
  ExpressionPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExpressionPtr>> bindings;
  Body body;
};
/// A body whose tag means nothing to a rendering ({% generation %}).
struct Transparent {
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  int line = 0;
  std::variant<Text, Output, If, For, Set, SetBlock, Macro, CallBlock, FilterBlock, With,
               Transparent, Break, Continue>
      node;
};

/// A whole template. Immutable and thread-safe.
struct Program {
  Body body;
};

}  // namespace moesaic::model::jinja
