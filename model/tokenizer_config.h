#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace moesaic::model {

/// What tokenizer_config.json and the files beside it say besides the tokenizer itself. Value.
struct TokenizerConfig {
  std::optional<bool> add_bos_token;
  std::optional<bool> add_eos_token;
  std::optional<std::string> bos_token;
  std::optional<std::string> eos_token;
  std::optional<std::string> pad_token;
  std::optional<std::string> unk_token;
  /// Sources by name; the unnamed template is "default".
  std::map<std::string, std::string, std::less<>> chat_templates;

  /// The template called `name`, or null.
  const std::string* FindChatTemplate(std::string_view name = "default") const;
};

/// Reads the text of tokenizer_config.json; unknown keys are ignored. `file` names it in errors:
/// DataLoss for bytes that are not JSON, InvalidArgument naming the key for a value of a wrong
/// kind.
absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(std::string_view text,
                                                     const std::string& file);

/// Reads tokenizer_config.json and the templates of chat_template.jinja or chat_template.json in
/// `directory`, of which the first takes precedence. Files that are absent are empty.
/// Errors: as ParseTokenizerConfig.
absl::StatusOr<TokenizerConfig> LoadTokenizerConfig(const std::string& directory);

}  // namespace moesaic::model
