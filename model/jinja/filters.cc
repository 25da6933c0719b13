#include "model/jinja/filters.h"

#include <charconv>
#include <cmath>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"
#include "model/jinja/text.h"

namespace moesaic::model::jinja {
namespace {

using Result = absl::StatusOr<Value>;

Result Default(Runtime&, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("default", call, {"default_value", "boolean"}));
  const bool replace = input.is_undefined() || (arguments.BoolOr(1, false) && !input.IsTrue());
  if (!replace) return input;
  return arguments.Find(0) == nullptr ? Value::String("") : *arguments.Find(0);
}

Result LengthFilter(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t length, Length(runtime, input));
  return Value::Int(length);
}

Result AbsFilter(Runtime& runtime, const Value& input, const CallArguments&) {
  if (!input.is_number()) return absl::InvalidArgumentError("abs: a number is required");
  return input.AsFloat() < 0 ? Negate(runtime, input) : input;
}

/// int("…") after white space is stripped; nothing when it is no number.
std::optional<std::int64_t> ParseInt(std::string_view text, int base) {
  text = StripRight(StripLeft(text));
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  std::int64_t number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

std::optional<double> ParseFloat(std::string_view text) {
  text = StripRight(StripLeft(text));
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  double number = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || result.ec != std::errc() || result.ptr != text.data() + text.size()) {
    return std::nullopt;
  }
  return number;
}

Result IntFilter(Runtime&, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("int", call, {"default", "base"}));
  const Value fallback = arguments.Find(0) == nullptr ? Value::Int(0) : *arguments.Find(0);
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t base, arguments.IntOr(1, 10));
  if (base < 2 || base > 36) return absl::InvalidArgumentError("int: bad base");
  if (input.is_integral()) return Value::Int(input.AsInt());
  std::optional<double> number;
  if (input.is_float()) number = input.AsFloat();
  if (input.is_string()) {
    if (const auto integer = ParseInt(input.AsString(), static_cast<int>(base))) {
      return Value::Int(*integer);
    }
    number = ParseFloat(input.AsString());
  }
  if (!number || !(*number > -9.2e18 && *number < 9.2e18)) return fallback;
  return Value::Int(static_cast<std::int64_t>(*number));
}

Result FloatFilter(Runtime&, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("float", call, {"default"}));
  if (input.is_number()) return Value::Float(input.AsFloat());
  if (input.is_string()) {
    if (const auto number = ParseFloat(input.AsString())) return Value::Float(*number);
  }
  return arguments.Find(0) == nullptr ? Value::Float(0) : *arguments.Find(0);
}

Result RoundFilter(Runtime&, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("round", call, {"precision", "method"}));
  if (!input.is_number()) return absl::InvalidArgumentError("round: a number is required");
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t precision, arguments.IntOr(0, 0));
  MOESAIC_ASSIGN_OR_RETURN(const std::string method, arguments.StringOr(1, "common"));
  if (precision < -300 || precision > 300)
    return absl::InvalidArgumentError("round: bad precision");
  const double scale = std::pow(10.0, static_cast<double>(precision));
  const double scaled = input.AsFloat() * scale;
  if (method == "ceil") return Value::Float(std::ceil(scaled) / scale);
  if (method == "floor") return Value::Float(std::floor(scaled) / scale);
  if (method != "common") return absl::InvalidArgumentError("round: unknown method");
  return Value::Float(std::nearbyint(scaled) / scale);
}

Result StringFilter(Runtime& runtime, const Value& input, const CallArguments&) {
  if (input.is_string()) return input;
  MOESAIC_ASSIGN_OR_RETURN(std::string text, ToText(runtime, input));
  return Value::String(std::move(text));
}

Result AttrFilter(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("attr", call, {"name"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string name, arguments.String(0));
  // Never an element of a dict: that is what the filter is for.
  if (input.is_mapping()) return Value::Undefined("no such attribute");
  return GetAttribute(runtime, input, name);
}

Result Items(Runtime& runtime, const Value& input, const CallArguments&) {
  if (input.is_undefined()) return runtime.MakeList({});
  if (!input.is_mapping()) return absl::InvalidArgumentError("items: a mapping is required");
  MOESAIC_ASSIGN_OR_RETURN(const Value method, GetAttribute(runtime, input, "items"));
  return method.AsObject().Call({});
}

absl::StatusOr<std::optional<std::string>> ReadIndent(const BoundArguments& arguments,
                                                      std::size_t parameter) {
  if (arguments.IsAbsent(parameter)) return std::nullopt;
  if (arguments.Find(parameter)->is_string()) return arguments.Find(parameter)->AsString();
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t width, arguments.Int(parameter));
  if (width > 100) return absl::InvalidArgumentError("tojson: indent is too wide");
  return std::string(width < 0 ? 0 : static_cast<std::size_t>(width), ' ');
}

Result ToJsonFilter(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(
      const auto arguments,
      BoundArguments::Bind("tojson", call, {"ensure_ascii", "indent", "separators", "sort_keys"}));
  JsonStyle style;
  style.ensure_ascii = arguments.BoolOr(0, false);
  MOESAIC_ASSIGN_OR_RETURN(style.indent, ReadIndent(arguments, 1));
  style.sort_keys = arguments.BoolOr(3, false);
  if (style.indent) style.item_separator = ',';
  if (!arguments.IsAbsent(2)) {
    const Value& pair = *arguments.Find(2);
    if (!pair.is_sequence() || pair.AsItems().size() != 2 || !pair.AsItems()[0].is_string() ||
        !pair.AsItems()[1].is_string()) {
      return absl::InvalidArgumentError("tojson: separators must be two strings");
    }
    style.item_separator = pair.AsItems()[0].AsString();
    style.key_separator = pair.AsItems()[1].AsString();
  }
  MOESAIC_ASSIGN_OR_RETURN(std::string text, ToJson(runtime, input, style));
  return Value::String(std::move(text));
}

FilterFunction FindValueFilter(std::string_view name) {
  static const auto& filters = *new absl::flat_hash_map<std::string, FilterFunction>{
      {"abs", &AbsFilter},       {"attr", &AttrFilter},     {"d", &Default},
      {"default", &Default},     {"count", &LengthFilter},  {"length", &LengthFilter},
      {"float", &FloatFilter},   {"int", &IntFilter},       {"items", &Items},
      {"round", &RoundFilter},   {"string", &StringFilter}, {"safe", &StringFilter},
      {"tojson", &ToJsonFilter},
  };
  const auto it = filters.find(base::ToAbsl(name));
  return it == filters.end() ? nullptr : it->second;
}

}  // namespace

FilterFunction FindFilter(std::string_view name) {
  if (const FilterFunction filter = FindValueFilter(name)) return filter;
  if (const FilterFunction filter = FindTextFilter(name)) return filter;
  return FindListFilter(name);
}

absl::StatusOr<Value> ApplyFilter(Runtime& runtime, std::string_view name, const Value& input,
                                  const CallArguments& arguments) {
  const FilterFunction filter = FindFilter(name);
  if (filter == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no filter named '", base::ToAbsl(name), "'"));
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  return filter(runtime, input, arguments);
}

absl::StatusOr<bool> ApplyTest(Runtime& runtime, std::string_view name, const Value& input,
                               const CallArguments& arguments) {
  const TestFunction test = FindTest(name);
  if (test == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("no test named '", base::ToAbsl(name), "'"));
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  return test(runtime, input, arguments);
}

}  // namespace moesaic::model::jinja
