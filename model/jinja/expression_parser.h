#pragma once

#include "absl/status/statusor.h"
#include "model/jinja/ast.h"
#include "model/jinja/token_stream.h"

namespace moesaic::model::jinja {

/// Reads expressions from a stream by recursive descent, with jinja2's precedences (jinja2 3.1,
/// parser.py). Nesting is bounded, so that neither parsing, nor evaluating, nor destroying an
/// expression can exhaust the stack. Errors are InvalidArgument with the line. Single-thread.
class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& stream) : stream_(stream) {}

  /// One expression; `a if b else c` only when `with_condition`.
  absl::StatusOr<ExpressionPtr> Parse(bool with_condition = true);
  /// An expression, or several separated by commas, which make a tuple.
  absl::StatusOr<ExpressionPtr> ParseTuple(bool with_condition = true);
  /// `name(args)` and what follows `|`; the innermost input is null.
  absl::StatusOr<ExpressionPtr> ParseFilterChain();
  /// A primary expression with subscripts and calls.
  absl::StatusOr<ExpressionPtr> ParsePostfixed();

 private:
  class Nesting;

  absl::StatusOr<ExpressionPtr> ParseConditional();
  absl::StatusOr<ExpressionPtr> ParseOr();
  absl::StatusOr<ExpressionPtr> ParseAnd();
  absl::StatusOr<ExpressionPtr> ParseNot();
  absl::StatusOr<ExpressionPtr> ParseCompare();
  absl::StatusOr<ExpressionPtr> ParseSum();
  absl::StatusOr<ExpressionPtr> ParseConcatenation();
  absl::StatusOr<ExpressionPtr> ParseProduct();
  absl::StatusOr<ExpressionPtr> ParsePower();
  absl::StatusOr<ExpressionPtr> ParseUnary(bool with_filter);
  absl::StatusOr<ExpressionPtr> ParsePrimary();
  absl::StatusOr<ExpressionPtr> ParseNameOrConstant();
  absl::StatusOr<ExpressionPtr> ParseStrings();
  absl::StatusOr<ExpressionPtr> ParseParentheses();
  absl::StatusOr<ExpressionPtr> ParseList();
  absl::StatusOr<ExpressionPtr> ParseDict();
  absl::StatusOr<ExpressionPtr> ParsePostfix(ExpressionPtr value);
  absl::StatusOr<ExpressionPtr> ParseFiltersAndTests(ExpressionPtr value);
  absl::StatusOr<ExpressionPtr> ParseDot(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseSubscript(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseSliceBound();
  absl::StatusOr<ExpressionPtr> ParseCall(ExpressionPtr callee);
  absl::StatusOr<ExpressionPtr> ParseFilter(ExpressionPtr input);
  absl::StatusOr<ExpressionPtr> ParseTest(ExpressionPtr input);
  absl::StatusOr<ArgumentList> ParseArguments();
  absl::StatusOr<std::string> ParseDottedName();
  /// Whether what follows `is name` can be the test's argument.
  bool AtTestArgument() const;

  /// Wraps a node; fails when it is nested too deeply.
  template <typename Node>
  absl::StatusOr<ExpressionPtr> Make(Node node);

  TokenStream& stream_;
  int nesting_ = 0;
};

}  // namespace moesaic::model::jinja
