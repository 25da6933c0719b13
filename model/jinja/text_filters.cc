#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/filters.h"
#include "model/jinja/methods.h"
#include "model/jinja/operations.h"
#include "model/jinja/percent_format.h"
#include "model/jinja/printing.h"
#include "model/jinja/text.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

using Result = absl::StatusOr<Value>;

/// The input as text, passed to the str method of the same meaning.
template <const char* kMethod>
Result ByMethod(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(std::string text, ToText(runtime, input));
  return FindStringMethod(kMethod)(runtime, Value::String(std::move(text)), call);
}
constexpr char kUpper[] = "upper";
constexpr char kLower[] = "lower";
constexpr char kTitle[] = "title";
constexpr char kCapitalize[] = "capitalize";
constexpr char kStrip[] = "strip";
constexpr char kReplace[] = "replace";

Result CenterFilter(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("center", call, {"width"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t width, arguments.IntOr(0, 80));
  MOESAIC_ASSIGN_OR_RETURN(std::string text, ToText(runtime, input));
  return FindStringMethod("center")(runtime, Value::String(std::move(text)),
                                    {{Value::Int(width)}, {}});
}

Result Indent(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("indent", call, {"width", "first", "blank"}));
  std::string indentation(4, ' ');
  if (arguments.Find(0) != nullptr && arguments.Find(0)->is_string()) {
    indentation = arguments.Find(0)->AsString();
  } else {
    MOESAIC_ASSIGN_OR_RETURN(const std::int64_t width, arguments.IntOr(0, 4));
    if (width < 0 || width > 1000) return absl::InvalidArgumentError("indent: bad width");
    indentation.assign(static_cast<std::size_t>(width), ' ');
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  const bool first = arguments.BoolOr(1, false);
  const bool blank = arguments.BoolOr(2, false);
  std::string out;
  bool first_line = true;
  for (const std::string_view line : Split(text, "\n", SIZE_MAX)) {
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(line.size() + indentation.size() + 1));
    if (!first_line) out.push_back('\n');
    if (first_line ? first : (blank || !line.empty())) out.append(indentation);
    out.append(line);
    first_line = false;
  }
  return Value::String(std::move(out));
}

Result Format(Runtime& runtime, const Value& input, const CallArguments& call) {
  if (!input.is_string()) return absl::InvalidArgumentError("format: a string is required");
  MOESAIC_ASSIGN_OR_RETURN(std::string text,
                           FormatPercent(runtime, input.AsString(), call.positional));
  return Value::String(std::move(text));
}

Result Escape(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out.append("&amp;");
        break;
      case '<':
        out.append("&lt;");
        break;
      case '>':
        out.append("&gt;");
        break;
      case '"':
        out.append("&#34;");
        break;
      case '\'':
        out.append("&#39;");
        break;
      default:
        out.push_back(c);
    }
  }
  return runtime.MakeString(std::move(out));
}

Result UrlEncode(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("_.-~/").find(c) != std::string_view::npos;
    if (plain) {
      out.push_back(c);
    } else {
      absl::StrAppendFormat(&out, "%%%02X", static_cast<unsigned char>(c));
    }
  }
  return runtime.MakeString(std::move(out));
}

Result Truncate(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(
      const auto arguments,
      BoundArguments::Bind("truncate", call, {"length", "killwords", "end", "leeway"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t length, arguments.IntOr(0, 255));
  MOESAIC_ASSIGN_OR_RETURN(const std::string end, arguments.StringOr(2, "..."));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t leeway, arguments.IntOr(3, 5));
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  const std::u32string chars = ToUtf32(text);
  const std::int64_t end_length = static_cast<std::int64_t>(CountChars(end));
  if (length < end_length || leeway < 0) return absl::InvalidArgumentError("truncate: bad length");
  if (static_cast<std::int64_t>(chars.size()) - leeway <= length) {
    return runtime.MakeString(text);
  }
  std::u32string kept = chars.substr(0, static_cast<std::size_t>(length - end_length));
  if (!arguments.BoolOr(1, false)) {
    const std::size_t space = kept.rfind(U' ');
    if (space != std::u32string::npos) kept.resize(space);
  }
  return runtime.MakeString(ToUtf8(kept) + end);
}

Result WordCount(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, input));
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size()));
  return Value::Int(static_cast<std::int64_t>(SplitSpace(text, SIZE_MAX).size()));
}

}  // namespace

FilterFunction FindTextFilter(std::string_view name) {
  static const auto& filters = *new absl::flat_hash_map<std::string, FilterFunction>{
      {"upper", &ByMethod<kUpper>}, {"lower", &ByMethod<kLower>},
      {"title", &ByMethod<kTitle>}, {"capitalize", &ByMethod<kCapitalize>},
      {"trim", &ByMethod<kStrip>},  {"replace", &ByMethod<kReplace>},
      {"center", &CenterFilter},    {"indent", &Indent},
      {"format", &Format},          {"e", &Escape},
      {"escape", &Escape},          {"forceescape", &Escape},
      {"urlencode", &UrlEncode},    {"truncate", &Truncate},
      {"wordcount", &WordCount},
  };
  const auto it = filters.find(base::ToAbsl(name));
  return it == filters.end() ? nullptr : it->second;
}

}  // namespace moesaic::model::jinja
