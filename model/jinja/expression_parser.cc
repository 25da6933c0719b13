#include "model/jinja/expression_parser.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include "base/status_macros.h"

namespace moesaic::model::jinja {
namespace {

// Templates of published models stay below 20.
constexpr int kMaxNesting = 60;
// Levels of an expression tree; a chain "a + b + c" takes one per operator.
constexpr int kMaxExpressionDepth = 250;

int DepthOf(const ExpressionPtr& expression) {
  return expression == nullptr ? 0 : expression->depth;
}

int DepthOf(const std::vector<ExpressionPtr>& expressions) {
  int depth = 0;
  for (const ExpressionPtr& expression : expressions) depth = std::max(depth, DepthOf(expression));
  return depth;
}

int DepthOf(const ArgumentList& arguments) {
  int depth = DepthOf(arguments.positional);
  for (const auto& [name, value] : arguments.named) depth = std::max(depth, DepthOf(value));
  return depth;
}

int DepthOf(const Literal&) { return 0; }
int DepthOf(const NameReference&) { return 0; }
int DepthOf(const SequenceDisplay& node) { return DepthOf(node.items); }
int DepthOf(const DictDisplay& node) {
  int depth = 0;
  for (const auto& [key, value] : node.items) {
    depth = std::max({depth, DepthOf(key), DepthOf(value)});
  }
  return depth;
}
int DepthOf(const Sign& node) { return DepthOf(node.operand); }
int DepthOf(const Not& node) { return DepthOf(node.operand); }
int DepthOf(const Binary& node) { return std::max(DepthOf(node.left), DepthOf(node.right)); }
int DepthOf(const Concatenation& node) { return DepthOf(node.parts); }
int DepthOf(const Comparison& node) {
  int depth = DepthOf(node.first);
  for (const auto& [op, operand] : node.rest) depth = std::max(depth, DepthOf(operand));
  return depth;
}
int DepthOf(const Logical& node) { return std::max(DepthOf(node.left), DepthOf(node.right)); }
int DepthOf(const Conditional& node) {
  return std::max({DepthOf(node.test), DepthOf(node.then), DepthOf(node.otherwise)});
}
int DepthOf(const Attribute& node) { return DepthOf(node.object); }
int DepthOf(const Subscript& node) { return std::max(DepthOf(node.object), DepthOf(node.index)); }
int DepthOf(const Slice& node) {
  return std::max(
      {DepthOf(node.object), DepthOf(node.start), DepthOf(node.stop), DepthOf(node.step)});
}
int DepthOf(const Call& node) { return std::max(DepthOf(node.callee), DepthOf(node.arguments)); }
int DepthOf(const Filter& node) { return std::max(DepthOf(node.input), DepthOf(node.arguments)); }
int DepthOf(const Test& node) { return std::max(DepthOf(node.input), DepthOf(node.arguments)); }

std::optional<CompareOperator> CompareOperatorOf(const Token& token) {
  if (token.kind != TokenKind::kOperator) return std::nullopt;
  if (token.text == "==") return CompareOperator::kEq;
  if (token.text == "!=") return CompareOperator::kNe;
  if (token.text == "<") return CompareOperator::kLt;
  if (token.text == "<=") return CompareOperator::kLe;
  if (token.text == ">") return CompareOperator::kGt;
  if (token.text == ">=") return CompareOperator::kGe;
  return std::nullopt;
}

std::optional<BinaryOperator> ProductOperatorOf(const Token& token) {
  if (token.IsOperator("*")) return BinaryOperator::kMultiply;
  if (token.IsOperator("/")) return BinaryOperator::kDivide;
  if (token.IsOperator("//")) return BinaryOperator::kFloorDivide;
  if (token.IsOperator("%")) return BinaryOperator::kModulo;
  return std::nullopt;
}

}  // namespace

/// Counts the recursion of the parser itself.
class ExpressionParser::Nesting {
 public:
  explicit Nesting(ExpressionParser& parser) : parser_(parser) { ++parser_.nesting_; }
  ~Nesting() { --parser_.nesting_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
  absl::Status ok() const {
    if (parser_.nesting_ <= kMaxNesting) return absl::OkStatus();
    return parser_.stream_.Error("expression is nested too deeply");
  }

 private:
  ExpressionParser& parser_;
};

template <typename Node>
absl::StatusOr<ExpressionPtr> ExpressionParser::Make(Node node) {
  auto expression = std::make_unique<Expression>();
  expression->line = stream_.line();
  expression->depth = DepthOf(node) + 1;
  expression->node = std::move(node);
  if (expression->depth > kMaxExpressionDepth) return stream_.Error("expression is too long");
  return ExpressionPtr(std::move(expression));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Parse(bool with_condition) {
  const Nesting nesting(*this);
  MOESAIC_RETURN_IF_ERROR(nesting.ok());
  return with_condition ? ParseConditional() : ParseOr();
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseTuple(bool with_condition) {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr first, Parse(with_condition));
  if (!stream_.current().IsOperator(",")) return first;
  SequenceDisplay tuple;
  tuple.is_tuple = true;
  tuple.items.push_back(std::move(first));
  while (stream_.SkipOperator(",")) {
    const Token& token = stream_.current();
    const bool end = token.kind == TokenKind::kVariableEnd || token.kind == TokenKind::kBlockEnd ||
                     token.IsOperator(")");
    if (end) break;
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr item, Parse(with_condition));
    tuple.items.push_back(std::move(item));
  }
  return Make(std::move(tuple));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseConditional() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, ParseOr());
  while (stream_.SkipName("if")) {
    Conditional node;
    node.then = std::move(value);
    MOESAIC_ASSIGN_OR_RETURN(node.test, ParseOr());
    if (stream_.SkipName("else")) {
      MOESAIC_ASSIGN_OR_RETURN(node.otherwise, Parse());
    }
    MOESAIC_ASSIGN_OR_RETURN(value, Make(std::move(node)));
  }
  return value;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseOr() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr left, ParseAnd());
  while (stream_.SkipName("or")) {
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr right, ParseAnd());
    MOESAIC_ASSIGN_OR_RETURN(left, Make(Logical{false, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseAnd() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr left, ParseNot());
  while (stream_.SkipName("and")) {
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr right, ParseNot());
    MOESAIC_ASSIGN_OR_RETURN(left, Make(Logical{true, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseNot() {
  if (!stream_.SkipName("not")) return ParseCompare();
  const Nesting nesting(*this);
  MOESAIC_RETURN_IF_ERROR(nesting.ok());
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseNot());
  return Make(Not{std::move(operand)});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseCompare() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum());
  Comparison node;
  while (true) {
    std::optional<CompareOperator> op = CompareOperatorOf(stream_.current());
    if (op) {
      stream_.Advance();
    } else if (stream_.SkipName("in")) {
      op = CompareOperator::kIn;
    } else if (stream_.current().IsName("not") && stream_.next().IsName("in")) {
      stream_.Advance();
      stream_.Advance();
      op = CompareOperator::kNotIn;
    } else {
      break;
    }
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseSum());
    node.rest.emplace_back(*op, std::move(operand));
  }
  if (node.rest.empty()) return first;
  node.first = std::move(first);
  return Make(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseSum() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr left, ParseConcatenation());
  while (stream_.current().IsOperator("+") || stream_.current().IsOperator("-")) {
    const BinaryOperator op =
        stream_.current().text == "+" ? BinaryOperator::kAdd : BinaryOperator::kSubtract;
    stream_.Advance();
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr right, ParseConcatenation());
    MOESAIC_ASSIGN_OR_RETURN(left, Make(Binary{op, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseConcatenation() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr first, ParseProduct());
  if (!stream_.current().IsOperator("~")) return first;
  Concatenation node;
  node.parts.push_back(std::move(first));
  while (stream_.SkipOperator("~")) {
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr part, ParseProduct());
    node.parts.push_back(std::move(part));
  }
  return Make(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseProduct() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr left, ParsePower());
  while (const std::optional<BinaryOperator> op = ProductOperatorOf(stream_.current())) {
    stream_.Advance();
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr right, ParsePower());
    MOESAIC_ASSIGN_OR_RETURN(left, Make(Binary{*op, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePower() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr left, ParseUnary(true));
  while (stream_.SkipOperator("**")) {
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr right, ParseUnary(true));
    MOESAIC_ASSIGN_OR_RETURN(
        left, Make(Binary{BinaryOperator::kPower, std::move(left), std::move(right)}));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseUnary(bool with_filter) {
  const Nesting nesting(*this);
  MOESAIC_RETURN_IF_ERROR(nesting.ok());
  ExpressionPtr value;
  const Token& token = stream_.current();
  if (token.IsOperator("-") || token.IsOperator("+")) {
    const bool negative = token.text == "-";
    stream_.Advance();
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr operand, ParseUnary(false));
    MOESAIC_ASSIGN_OR_RETURN(value, Make(Sign{negative, std::move(operand)}));
  } else {
    MOESAIC_ASSIGN_OR_RETURN(value, ParsePrimary());
  }
  MOESAIC_ASSIGN_OR_RETURN(value, ParsePostfix(std::move(value)));
  if (!with_filter) return value;
  return ParseFiltersAndTests(std::move(value));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePostfixed() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, ParsePrimary());
  return ParsePostfix(std::move(value));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePrimary() {
  const Token& token = stream_.current();
  switch (token.kind) {
    case TokenKind::kName:
      return ParseNameOrConstant();
    case TokenKind::kString:
      return ParseStrings();
    case TokenKind::kInteger:
    case TokenKind::kFloat: {
      Literal literal{token.kind == TokenKind::kInteger ? Value::Int(token.integer)
                                                        : Value::Float(token.real)};
      stream_.Advance();
      return Make(std::move(literal));
    }
    case TokenKind::kOperator:
      if (token.text == "(") return ParseParentheses();
      if (token.text == "[") return ParseList();
      if (token.text == "{") return ParseDict();
      break;
    default:
      break;
  }
  return stream_.Unexpected("an expression");
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseNameOrConstant() {
  const std::string name = stream_.current().text;
  stream_.Advance();
  if (name == "true" || name == "True") return Make(Literal{Value::Bool(true)});
  if (name == "false" || name == "False") return Make(Literal{Value::Bool(false)});
  if (name == "none" || name == "None") return Make(Literal{Value::None()});
  return Make(NameReference{name});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseStrings() {
  std::string text;
  while (stream_.current().kind == TokenKind::kString) {
    text += stream_.current().text;
    stream_.Advance();
  }
  return Make(Literal{Value::String(std::move(text))});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseParentheses() {
  stream_.Advance();
  if (stream_.SkipOperator(")")) {
    SequenceDisplay empty;
    empty.is_tuple = true;
    return Make(std::move(empty));
  }
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, ParseTuple());
  MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(")"));
  return value;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseList() {
  stream_.Advance();
  SequenceDisplay list;
  while (!stream_.SkipOperator("]")) {
    if (!list.items.empty()) {
      MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      if (stream_.SkipOperator("]")) break;
    }
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr item, Parse());
    list.items.push_back(std::move(item));
  }
  return Make(std::move(list));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseDict() {
  stream_.Advance();
  DictDisplay dict;
  while (!stream_.SkipOperator("}")) {
    if (!dict.items.empty()) {
      MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      if (stream_.SkipOperator("}")) break;
    }
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr key, Parse());
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(":"));
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
    dict.items.emplace_back(std::move(key), std::move(value));
  }
  return Make(std::move(dict));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePostfix(ExpressionPtr value) {
  while (true) {
    const Token& token = stream_.current();
    if (token.IsOperator(".")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseDot(std::move(value)));
    } else if (token.IsOperator("[")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseSubscript(std::move(value)));
    } else if (token.IsOperator("(")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseFiltersAndTests(ExpressionPtr value) {
  while (true) {
    if (stream_.SkipOperator("|")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseFilter(std::move(value)));
    } else if (stream_.SkipName("is")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseTest(std::move(value)));
    } else if (stream_.current().IsOperator("(")) {
      MOESAIC_ASSIGN_OR_RETURN(value, ParseCall(std::move(value)));
    } else {
      return value;
    }
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseDot(ExpressionPtr object) {
  stream_.Advance();
  const Token token = stream_.current();
  if (token.kind == TokenKind::kName) {
    stream_.Advance();
    return Make(Attribute{std::move(object), token.text});
  }
  if (token.kind != TokenKind::kInteger) return stream_.Unexpected("a name or a number");
  stream_.Advance();
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr index, Make(Literal{Value::Int(token.integer)}));
  return Make(Subscript{std::move(object), std::move(index)});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseSubscript(ExpressionPtr object) {
  stream_.Advance();
  ExpressionPtr start;
  if (!stream_.current().IsOperator(":")) {
    MOESAIC_ASSIGN_OR_RETURN(start, ParseTuple());
    if (stream_.SkipOperator("]")) return Make(Subscript{std::move(object), std::move(start)});
  }
  Slice slice;
  slice.object = std::move(object);
  slice.start = std::move(start);
  MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(":"));
  MOESAIC_ASSIGN_OR_RETURN(slice.stop, ParseSliceBound());
  if (stream_.SkipOperator(":")) {
    MOESAIC_ASSIGN_OR_RETURN(slice.step, ParseSliceBound());
  }
  MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator("]"));
  return Make(std::move(slice));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseSliceBound() {
  if (stream_.current().IsOperator(":") || stream_.current().IsOperator("]")) {
    return ExpressionPtr();
  }
  return Parse();
}

absl::StatusOr<ArgumentList> ExpressionParser::ParseArguments() {
  MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator("("));
  ArgumentList arguments;
  bool first = true;
  while (!stream_.SkipOperator(")")) {
    if (!std::exchange(first, false)) {
      MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      if (stream_.SkipOperator(")")) break;
    }
    if (stream_.current().IsOperator("*") || stream_.current().IsOperator("**")) {
      return stream_.Error("unpacking arguments is not supported");
    }
    if (stream_.current().kind == TokenKind::kName && stream_.next().IsOperator("=")) {
      const std::string name = stream_.current().text;
      stream_.Advance();
      stream_.Advance();
      MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
      arguments.named.emplace_back(name, std::move(value));
    } else if (!arguments.named.empty()) {
      return stream_.Error("positional argument after a named one");
    } else {
      MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
      arguments.positional.push_back(std::move(value));
    }
  }
  return arguments;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseCall(ExpressionPtr callee) {
  MOESAIC_ASSIGN_OR_RETURN(ArgumentList arguments, ParseArguments());
  return Make(Call{std::move(callee), std::move(arguments)});
}

absl::StatusOr<std::string> ExpressionParser::ParseDottedName() {
  MOESAIC_ASSIGN_OR_RETURN(std::string name, stream_.TakeName());
  while (stream_.SkipOperator(".")) {
    MOESAIC_ASSIGN_OR_RETURN(const std::string part, stream_.TakeName());
    name.append(".").append(part);
  }
  return name;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseFilter(ExpressionPtr input) {
  Filter filter;
  filter.input = std::move(input);
  MOESAIC_ASSIGN_OR_RETURN(filter.name, ParseDottedName());
  if (stream_.current().IsOperator("(")) {
    MOESAIC_ASSIGN_OR_RETURN(filter.arguments, ParseArguments());
  }
  return Make(std::move(filter));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseFilterChain() {
  MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, ParseFilter(nullptr));
  while (stream_.SkipOperator("|")) {
    MOESAIC_ASSIGN_OR_RETURN(value, ParseFilter(std::move(value)));
  }
  return value;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseTest(ExpressionPtr input) {
  Test test;
  test.input = std::move(input);
  test.negated = stream_.SkipName("not");
  MOESAIC_ASSIGN_OR_RETURN(test.name, ParseDottedName());
  if (stream_.current().IsOperator("(")) {
    MOESAIC_ASSIGN_OR_RETURN(test.arguments, ParseArguments());
  } else if (AtTestArgument()) {
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePostfixed());
    test.arguments.positional.push_back(std::move(argument));
  }
  return Make(std::move(test));
}

bool ExpressionParser::AtTestArgument() const {
  const Token& token = stream_.current();
  switch (token.kind) {
    case TokenKind::kString:
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return true;
    case TokenKind::kOperator:
      return token.text == "[" || token.text == "{";
    case TokenKind::kName: {
      constexpr std::string_view kKeywords[] = {"else", "or", "and", "if", "is", "in", "not"};
      return std::find(std::begin(kKeywords), std::end(kKeywords), token.text) ==
             std::end(kKeywords);
    }
    default:
      return false;
  }
}

}  // namespace moesaic::model::jinja
