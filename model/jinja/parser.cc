#include "model/jinja/parser.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/expression_parser.h"
#include "model/jinja/lexer.h"
#include "model/jinja/token_stream.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

// Templates of published models stay below 15.
constexpr int kMaxStatementNesting = 60;
constexpr std::size_t kMaxTemplateBytes = std::size_t{4} << 20;

/// Reads statements. Single-thread, used once.
class Parser {
 public:
  explicit Parser(std::vector<Token> tokens) : stream_(std::move(tokens)), expressions_(stream_) {}

  absl::StatusOr<Program> Run() {
    Program program;
    MOESAIC_ASSIGN_OR_RETURN(program.body, ParseBody({}));
    return program;
  }

 private:
  using Names = std::initializer_list<std::string_view>;

  /// Statements up to a tag whose name is in `ends`; the stream then stands at that name. Without
  /// ends: up to the end of the template.
  absl::StatusOr<Body> ParseBody(Names ends) {
    if (++nesting_ > kMaxStatementNesting) return stream_.Error("statements are nested too deeply");
    Body body;
    while (stream_.current().kind != TokenKind::kEnd) {
      const Token& token = stream_.current();
      if (token.kind == TokenKind::kText) {
        body.push_back({token.line, Text{token.text}});
        stream_.Advance();
      } else if (token.kind == TokenKind::kVariableBegin) {
        MOESAIC_RETURN_IF_ERROR(ParseOutput(body));
      } else {
        stream_.Advance();
        if (AtName(ends)) {
          --nesting_;
          return body;
        }
        MOESAIC_RETURN_IF_ERROR(ParseStatement(body));
      }
    }
    if (ends.size() > 0) {
      return stream_.Unexpected(absl::StrCat("'", base::ToAbsl(*(ends.end() - 1)), "'"));
    }
    --nesting_;
    return body;
  }

  /// As ParseBody, and takes the rest of the closing tag.
  absl::StatusOr<Body> ParseClosedBody(std::string_view end) {
    MOESAIC_RETURN_IF_ERROR(EndTag());
    MOESAIC_ASSIGN_OR_RETURN(Body body, ParseBody({end}));
    stream_.Advance();
    MOESAIC_RETURN_IF_ERROR(EndTag());
    return body;
  }

  bool AtName(Names names) const {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return stream_.current().IsName(name); });
  }

  absl::Status EndTag() { return stream_.ExpectKind(TokenKind::kBlockEnd); }

  absl::Status ParseOutput(Body& body) {
    const int line = stream_.line();
    stream_.Advance();
    MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.ParseTuple());
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectKind(TokenKind::kVariableEnd));
    body.push_back({line, Output{std::move(value)}});
    return absl::OkStatus();
  }

  absl::Status ParseStatement(Body& body) {
    const int line = stream_.line();
    MOESAIC_ASSIGN_OR_RETURN(const std::string name, stream_.TakeName());
    absl::StatusOr<Statement> statement = ParseNamed(name);
    if (!statement.ok()) return statement.status();
    statement->line = line;
    body.push_back(*std::move(statement));
    return absl::OkStatus();
  }

  absl::StatusOr<Statement> ParseNamed(const std::string& name) {
    if (name == "if") return ParseIf();
    if (name == "for") return ParseFor();
    if (name == "set") return ParseSet();
    if (name == "macro") return ParseMacro();
    if (name == "call") return ParseCall();
    if (name == "filter") return ParseFilter();
    if (name == "with") return ParseWith();
    if (name == "generation") {
      MOESAIC_ASSIGN_OR_RETURN(Body body, ParseClosedBody("endgeneration"));
      return Statement{0, Transparent{std::move(body)}};
    }
    if (name == "break" || name == "continue") return ParseLoopControl(name == "break");
    return stream_.Error(absl::StrCat("unknown or unsupported tag '", name, "'"));
  }

  absl::StatusOr<Statement> ParseIf() {
    If node;
    while (true) {
      MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr test, expressions_.ParseTuple());
      MOESAIC_RETURN_IF_ERROR(EndTag());
      MOESAIC_ASSIGN_OR_RETURN(Body body, ParseBody({"elif", "else", "endif"}));
      node.branches.emplace_back(std::move(test), std::move(body));
      if (!stream_.SkipName("elif")) break;
    }
    if (stream_.SkipName("else")) {
      MOESAIC_RETURN_IF_ERROR(EndTag());
      MOESAIC_ASSIGN_OR_RETURN(node.otherwise, ParseBody({"endif"}));
    }
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectName("endif"));
    MOESAIC_RETURN_IF_ERROR(EndTag());
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Statement> ParseFor() {
    For node;
    MOESAIC_ASSIGN_OR_RETURN(node.target, ParseTarget());
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectName("in"));
    // Without `a if b else c`: here `if` starts the loop's condition.
    MOESAIC_ASSIGN_OR_RETURN(node.iterable, expressions_.ParseTuple(/*with_condition=*/false));
    if (stream_.SkipName("if")) {
      MOESAIC_ASSIGN_OR_RETURN(node.condition, expressions_.Parse());
    }
    node.recursive = stream_.SkipName("recursive");
    MOESAIC_RETURN_IF_ERROR(EndTag());
    ++loops_;
    MOESAIC_ASSIGN_OR_RETURN(node.body, ParseBody({"else", "endfor"}));
    --loops_;
    if (stream_.SkipName("else")) {
      MOESAIC_RETURN_IF_ERROR(EndTag());
      MOESAIC_ASSIGN_OR_RETURN(node.otherwise, ParseBody({"endfor"}));
    }
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectName("endfor"));
    MOESAIC_RETURN_IF_ERROR(EndTag());
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Statement> ParseLoopControl(bool is_break) {
    if (loops_ == 0) return stream_.Error("loop control outside a loop");
    MOESAIC_RETURN_IF_ERROR(EndTag());
    if (is_break) return Statement{0, Break{}};
    return Statement{0, Continue{}};
  }

  absl::StatusOr<Statement> ParseSet() {
    MOESAIC_ASSIGN_OR_RETURN(Target target, ParseTarget());
    if (stream_.SkipOperator("=")) {
      MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.ParseTuple());
      MOESAIC_RETURN_IF_ERROR(EndTag());
      return Statement{0, Set{std::move(target), std::move(value)}};
    }
    SetBlock node;
    node.target = std::move(target);
    if (stream_.SkipOperator("|")) {
      MOESAIC_ASSIGN_OR_RETURN(node.filter, expressions_.ParseFilterChain());
    }
    MOESAIC_ASSIGN_OR_RETURN(node.body, ParseClosedBody("endset"));
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Statement> ParseMacro() {
    Macro node;
    MOESAIC_ASSIGN_OR_RETURN(node.name, stream_.TakeName());
    MOESAIC_ASSIGN_OR_RETURN(node.parameters, ParseParameters());
    MOESAIC_ASSIGN_OR_RETURN(node.body, ParseFunctionBody("endmacro"));
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Statement> ParseCall() {
    CallBlock node;
    node.caller.name = "caller";
    if (stream_.current().IsOperator("(")) {
      MOESAIC_ASSIGN_OR_RETURN(node.caller.parameters, ParseParameters());
    }
    MOESAIC_ASSIGN_OR_RETURN(node.call, expressions_.Parse());
    if (!std::holds_alternative<Call>(node.call->node)) return stream_.Unexpected("a call");
    MOESAIC_ASSIGN_OR_RETURN(node.caller.body, ParseFunctionBody("endcall"));
    return Statement{0, std::move(node)};
  }

  /// The body of a macro, which loops around it do not reach into.
  absl::StatusOr<Body> ParseFunctionBody(std::string_view end) {
    const int loops = std::exchange(loops_, 0);
    MOESAIC_ASSIGN_OR_RETURN(Body body, ParseClosedBody(end));
    loops_ = loops;
    return body;
  }

  absl::StatusOr<Statement> ParseFilter() {
    FilterBlock node;
    MOESAIC_ASSIGN_OR_RETURN(node.filter, expressions_.ParseFilterChain());
    MOESAIC_ASSIGN_OR_RETURN(node.body, ParseClosedBody("endfilter"));
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Statement> ParseWith() {
    With node;
    while (stream_.current().kind != TokenKind::kBlockEnd) {
      if (!node.bindings.empty()) MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      MOESAIC_ASSIGN_OR_RETURN(Target target, ParseTarget());
      MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator("="));
      MOESAIC_ASSIGN_OR_RETURN(ExpressionPtr value, expressions_.Parse());
      node.bindings.emplace_back(std::move(target), std::move(value));
    }
    MOESAIC_ASSIGN_OR_RETURN(node.body, ParseClosedBody("endwith"));
    return Statement{0, std::move(node)};
  }

  absl::StatusOr<Target> ParseTarget() {
    MOESAIC_ASSIGN_OR_RETURN(Target first, ParseTargetElement());
    if (!stream_.current().IsOperator(",")) return first;
    Target tuple;
    tuple.elements.push_back(std::move(first));
    while (stream_.SkipOperator(",")) {
      if (stream_.current().IsName("in") || stream_.current().IsOperator("=")) break;
      MOESAIC_ASSIGN_OR_RETURN(Target element, ParseTargetElement());
      tuple.elements.push_back(std::move(element));
    }
    return tuple;
  }

  absl::StatusOr<Target> ParseTargetElement() {
    if (stream_.SkipOperator("(")) {
      if (++nesting_ > kMaxStatementNesting) return stream_.Error("target is nested too deeply");
      MOESAIC_ASSIGN_OR_RETURN(Target target, ParseTarget());
      --nesting_;
      MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(")"));
      return target;
    }
    Target target;
    MOESAIC_ASSIGN_OR_RETURN(target.name, stream_.TakeName());
    if (stream_.SkipOperator(".")) {
      MOESAIC_ASSIGN_OR_RETURN(target.attribute, stream_.TakeName());
    }
    return target;
  }

  absl::StatusOr<std::vector<Parameter>> ParseParameters() {
    MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator("("));
    std::vector<Parameter> parameters;
    while (!stream_.SkipOperator(")")) {
      if (!parameters.empty()) MOESAIC_RETURN_IF_ERROR(stream_.ExpectOperator(","));
      Parameter parameter;
      MOESAIC_ASSIGN_OR_RETURN(parameter.name, stream_.TakeName());
      if (stream_.SkipOperator("=")) {
        MOESAIC_ASSIGN_OR_RETURN(parameter.default_value, expressions_.Parse());
      } else if (!parameters.empty() && parameters.back().default_value != nullptr) {
        return stream_.Error("parameter without a default after one with a default");
      }
      parameters.push_back(std::move(parameter));
    }
    return parameters;
  }

  TokenStream stream_;
  ExpressionParser expressions_;
  int nesting_ = 0;
  /// Loops around the current statement that break and continue can mean.
  int loops_ = 0;
};

}  // namespace

absl::StatusOr<Program> Parse(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    return absl::InvalidArgumentError("chat template is longer than 4 MiB");
  }
  if (!IsValidUtf8(source)) {
    return absl::InvalidArgumentError("chat template is not valid UTF-8");
  }
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace moesaic::model::jinja
