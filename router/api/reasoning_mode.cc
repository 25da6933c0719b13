#include "router/api/reasoning_mode.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "model/tokenizer.h"
#include "router/api/reasoning_parser.h"

namespace moesaic::router {

absl::StatusOr<ReasoningMode> ParseReasoningMode(std::string_view name) {
  if (name == "auto") return ReasoningMode::kAuto;
  if (name == "think") return ReasoningMode::kThink;
  if (name == "none") return ReasoningMode::kNone;
  return absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(name), "' is no reasoning parser: auto, think or none"));
}

bool ParsesReasoning(ReasoningMode mode, std::string_view chat_template,
                     const model::Tokenizer& tokenizer) {
  if (mode != ReasoningMode::kAuto) return mode == ReasoningMode::kThink;
  return chat_template.find(kThinkOpen) != std::string_view::npos ||
         tokenizer.TokenToId(kThinkOpen).has_value();
}

}  // namespace moesaic::router
