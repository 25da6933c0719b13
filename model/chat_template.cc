#include "model/chat_template.h"

#include <utility>

#include "base/status_macros.h"
#include "model/jinja/ast.h"
#include "model/jinja/globals.h"
#include "model/jinja/interpreter.h"
#include "model/jinja/parser.h"
#include "model/jinja/printing.h"
#include "model/jinja/runtime.h"

namespace moesaic::model {

ChatTemplate::ChatTemplate(std::shared_ptr<const jinja::Program> program)
    : program_(std::move(program)) {}

absl::StatusOr<ChatTemplate> ChatTemplate::Compile(std::string_view source) {
  MOESAIC_ASSIGN_OR_RETURN(jinja::Program program, jinja::Parse(source));
  return ChatTemplate(std::make_shared<const jinja::Program>(std::move(program)));
}

absl::StatusOr<std::string> ChatTemplate::Render(const nlohmann::ordered_json& inputs,
                                                 const RenderOptions& options) const {
  if (!inputs.is_object()) {
    return absl::InvalidArgumentError("the inputs of a chat template must be an object");
  }
  jinja::Runtime runtime(options);
  const auto globals = std::make_shared<jinja::Scope>();
  MOESAIC_RETURN_IF_ERROR(jinja::AddGlobals(runtime, *globals));
  const auto scope = std::make_shared<jinja::Scope>(globals);
  for (const auto& [name, input] : inputs.items()) {
    MOESAIC_ASSIGN_OR_RETURN(jinja::Value value, jinja::FromJson(runtime, input));
    scope->Set(name, std::move(value));
  }
  return jinja::Interpreter(runtime).Run(*program_, scope);
}

}  // namespace moesaic::model
