#include "model/jinja/brace_format.h"

#include <charconv>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/printing.h"

namespace moesaic::model::jinja {
namespace {

absl::StatusOr<Value> FindField(std::string_view field, const CallArguments& arguments,
                                std::size_t& automatic) {
  std::size_t index = 0;
  const auto result = std::from_chars(field.data(), field.data() + field.size(), index);
  const bool is_index = result.ec == std::errc() && result.ptr == field.data() + field.size();
  if (field.empty() || is_index) {
    if (field.empty()) index = automatic++;
    if (index < arguments.positional.size()) return arguments.positional[index];
  }
  for (const auto& [name, value] : arguments.named) {
    if (name == field) return value;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("format(): no argument for field '", base::ToAbsl(field), "'"));
}

}  // namespace

absl::StatusOr<std::string> FormatBraces(Runtime& runtime, std::string_view format,
                                         const CallArguments& arguments) {
  std::string out;
  std::size_t automatic = 0;
  for (std::size_t i = 0; i < format.size(); ++i) {
    const char c = format[i];
    if ((c == '{' || c == '}') && i + 1 < format.size() && format[i + 1] == c) {
      out.push_back(c);
      ++i;
      continue;
    }
    if (c != '{' && c != '}') {
      out.push_back(c);
      continue;
    }
    const std::size_t end = format.find('}', i);
    if (c == '}' || end == std::string_view::npos) {
      return absl::InvalidArgumentError("format(): single brace in the format string");
    }
    const std::string_view field = format.substr(i + 1, end - i - 1);
    if (field.find_first_of("!:.[{") != std::string_view::npos) {
      return absl::InvalidArgumentError("format(): only plain fields are supported");
    }
    MOESAIC_ASSIGN_OR_RETURN(const Value value, FindField(field, arguments, automatic));
    MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, value));
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(text.size()));
    out.append(text);
    i = end;
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(format.size()));
  return out;
}

}  // namespace moesaic::model::jinja
