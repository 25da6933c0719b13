#include "model/tokenizer_config.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "model/json_spec.h"
#include "model/utf8.h"

namespace moesaic::model {
namespace {

constexpr std::size_t kMaxConfigBytes = std::size_t{16} << 20;

absl::StatusOr<nlohmann::json> ParseJson(std::string_view text, const std::string& file) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::DataLossError(absl::StrCat(file, ": not valid JSON"));
  if (!json.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": expected an object"));
  }
  return json;
}

/// A token is its text, or an object that holds it as "content".
absl::StatusOr<std::optional<std::string>> ReadToken(const JsonSpec& spec) {
  if (spec.is_null()) return std::nullopt;
  const JsonSpec text = spec.value().is_object() ? spec["content"] : spec;
  MOESAIC_ASSIGN_OR_RETURN(std::string token, text.String());
  return token;
}

absl::StatusOr<std::optional<bool>> ReadFlag(const JsonSpec& spec) {
  if (spec.is_null()) return std::nullopt;
  MOESAIC_ASSIGN_OR_RETURN(const bool flag, spec.Bool());
  return flag;
}

/// One template, or a list of {"name", "template"}.
absl::Status ReadChatTemplates(const JsonSpec& spec, TokenizerConfig& config) {
  if (spec.is_null()) return absl::OkStatus();
  if (!spec.value().is_array()) {
    MOESAIC_ASSIGN_OR_RETURN(config.chat_templates["default"], spec.String());
    return absl::OkStatus();
  }
  for (std::size_t i = 0; i < spec.value().size(); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const std::string name, spec.At(i)["name"].String());
    MOESAIC_ASSIGN_OR_RETURN(config.chat_templates[name], spec.At(i)["template"].String());
  }
  return absl::OkStatus();
}

/// The content of a file, or nothing when there is none.
absl::StatusOr<std::optional<std::string>> ReadIfPresent(const std::string& path) {
  absl::StatusOr<std::string> text = base::ReadFile(path, kMaxConfigBytes);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  if (!text.ok()) return text.status();
  return *std::move(text);
}

absl::Status LoadTemplateFiles(const std::string& directory, TokenizerConfig& config) {
  const std::string json_path = directory + "/chat_template.json";
  MOESAIC_ASSIGN_OR_RETURN(const auto json_text, ReadIfPresent(json_path));
  if (json_text) {
    MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(*json_text, json_path));
    MOESAIC_RETURN_IF_ERROR(ReadChatTemplates(JsonSpec(json, json_path)["chat_template"], config));
  }
  const std::string jinja_path = directory + "/chat_template.jinja";
  MOESAIC_ASSIGN_OR_RETURN(const auto jinja_text, ReadIfPresent(jinja_path));
  if (jinja_text) {
    if (!IsValidUtf8(*jinja_text)) {
      return absl::DataLossError(absl::StrCat(jinja_path, ": not valid UTF-8"));
    }
    config.chat_templates["default"] = *jinja_text;
  }
  return absl::OkStatus();
}

}  // namespace

const std::string* TokenizerConfig::FindChatTemplate(std::string_view name) const {
  const auto it = chat_templates.find(name);
  return it == chat_templates.end() ? nullptr : &it->second;
}

absl::StatusOr<TokenizerConfig> ParseTokenizerConfig(std::string_view text,
                                                     const std::string& file) {
  MOESAIC_ASSIGN_OR_RETURN(const nlohmann::json json, ParseJson(text, file));
  const JsonSpec spec(json, file);
  TokenizerConfig config;
  MOESAIC_ASSIGN_OR_RETURN(config.add_bos_token, ReadFlag(spec["add_bos_token"]));
  MOESAIC_ASSIGN_OR_RETURN(config.add_eos_token, ReadFlag(spec["add_eos_token"]));
  MOESAIC_ASSIGN_OR_RETURN(config.bos_token, ReadToken(spec["bos_token"]));
  MOESAIC_ASSIGN_OR_RETURN(config.eos_token, ReadToken(spec["eos_token"]));
  MOESAIC_ASSIGN_OR_RETURN(config.pad_token, ReadToken(spec["pad_token"]));
  MOESAIC_ASSIGN_OR_RETURN(config.unk_token, ReadToken(spec["unk_token"]));
  MOESAIC_RETURN_IF_ERROR(ReadChatTemplates(spec["chat_template"], config));
  return config;
}

absl::StatusOr<TokenizerConfig> LoadTokenizerConfig(const std::string& directory) {
  const std::string path = directory + "/tokenizer_config.json";
  MOESAIC_ASSIGN_OR_RETURN(const auto text, ReadIfPresent(path));
  TokenizerConfig config;
  if (text) {
    MOESAIC_ASSIGN_OR_RETURN(config, ParseTokenizerConfig(*text, path));
  }
  MOESAIC_RETURN_IF_ERROR(LoadTemplateFiles(directory, config));
  return config;
}

}  // namespace moesaic::model
