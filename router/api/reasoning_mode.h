#pragma once

#include <string_view>

#include "absl/status/statusor.h"

namespace moesaic::model {
class Tokenizer;
}  // namespace moesaic::model

namespace moesaic::router {

/// Whether chat answers are divided into reasoning and content (router/api/reasoning_parser.h).
enum class ReasoningMode {
  kAuto,   ///< If the chat template or the vocabulary knows <think>.
  kThink,  ///< Always.
  kNone,
};

/// "auto", "think" or "none". Errors: InvalidArgument naming the text.
absl::StatusOr<ReasoningMode> ParseReasoningMode(std::string_view name);

/// What `mode` means for a checkpoint. `chat_template`: its source, empty when there is none.
bool ParsesReasoning(ReasoningMode mode, std::string_view chat_template,
                     const model::Tokenizer& tokenizer);

}  // namespace moesaic::router
