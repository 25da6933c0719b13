#include <utf8proc.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/brace_format.h"
#include "model/jinja/methods.h"
#include "model/jinja/operations.h"
#include "model/jinja/text.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

using Result = absl::StatusOr<Value>;

Result NoArguments(std::string_view name, const CallArguments& call, Runtime& runtime,
                   const Value& self, std::string (*convert)(std::string_view)) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind(name, call, {}).status());
  return runtime.MakeString(convert(self.AsString()));
}

Result UpperMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return NoArguments("upper", call, runtime, self, &Upper);
}
Result LowerMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return NoArguments("lower", call, runtime, self, &Lower);
}
Result TitleMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return NoArguments("title", call, runtime, self, &Title);
}
Result CapitalizeMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return NoArguments("capitalize", call, runtime, self, &Capitalize);
}

Result StripMethod(Runtime& runtime, const Value& self, const CallArguments& call, bool left,
                   bool right) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("strip", call, {"chars"}));
  std::string_view text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size()));
  if (arguments.IsAbsent(0)) {
    if (left) text = StripLeft(text);
    if (right) text = StripRight(text);
  } else {
    MOESAIC_ASSIGN_OR_RETURN(const std::string set, arguments.String(0));
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size(), set.size()));
    if (left) text = StripLeft(text, set);
    if (right) text = StripRight(text, set);
  }
  return runtime.MakeString(std::string(text));
}
Result Strip(Runtime& runtime, const Value& self, const CallArguments& call) {
  return StripMethod(runtime, self, call, true, true);
}
Result LStrip(Runtime& runtime, const Value& self, const CallArguments& call) {
  return StripMethod(runtime, self, call, true, false);
}
Result RStrip(Runtime& runtime, const Value& self, const CallArguments& call) {
  return StripMethod(runtime, self, call, false, true);
}

Result MakeStrings(Runtime& runtime, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step());
    MOESAIC_ASSIGN_OR_RETURN(Value item, runtime.MakeString(std::string(part)));
    items.push_back(std::move(item));
  }
  return runtime.MakeList(std::move(items));
}

Result SplitMethod(Runtime& runtime, const Value& self, const CallArguments& call,
                   bool from_right) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("split", call, {"sep", "maxsplit"}));
  const std::string& text = self.AsString();
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t max_splits, arguments.IntOr(1, -1));
  const std::size_t limit = max_splits < 0 ? SIZE_MAX : static_cast<std::size_t>(max_splits);
  // Bounds what the list of parts may take before it is made.
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(text.size()));
  if (arguments.IsAbsent(0)) {
    if (from_right && limit != SIZE_MAX) {
      return absl::InvalidArgumentError("rsplit() with maxsplit needs a separator");
    }
    return MakeStrings(runtime, SplitSpace(text, limit));
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::string separator, arguments.String(0));
  if (separator.empty()) return absl::InvalidArgumentError("split(): empty separator");
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size(), separator.size()));
  return MakeStrings(
      runtime, from_right ? SplitFromRight(text, separator, limit) : Split(text, separator, limit));
}
Result SplitLeft(Runtime& runtime, const Value& self, const CallArguments& call) {
  return SplitMethod(runtime, self, call, false);
}
Result SplitRight(Runtime& runtime, const Value& self, const CallArguments& call) {
  return SplitMethod(runtime, self, call, true);
}

Result SplitLinesMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("splitlines", call, {"keepends"}));
  return MakeStrings(runtime, SplitLines(self.AsString(), arguments.BoolOr(0, false)));
}

/// startswith and endswith take one text or a tuple of them.
Result AffixMethod(Runtime& runtime, const Value& self, const CallArguments& call, bool at_start) {
  const std::string_view name = at_start ? "startswith" : "endswith";
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind(name, call, {"affix"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value affix, arguments.Get(0));
  const std::vector<Value> affixes = affix.is_tuple() ? affix.AsItems() : std::vector<Value>{affix};
  const std::string_view text = self.AsString();
  for (const Value& candidate : affixes) {
    if (!candidate.is_string()) {
      return absl::InvalidArgumentError(
          absl::StrCat(base::ToAbsl(name), "() takes a string or a tuple of strings, not ",
                       base::ToAbsl(candidate.TypeName())));
    }
    const std::string& wanted = candidate.AsString();
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(wanted.size()));
    if (wanted.size() > text.size()) continue;
    const std::size_t at = at_start ? 0 : text.size() - wanted.size();
    if (text.substr(at, wanted.size()) == wanted) return Value::Bool(true);
  }
  return Value::Bool(false);
}
Result StartsWith(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AffixMethod(runtime, self, call, true);
}
Result EndsWith(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AffixMethod(runtime, self, call, false);
}

Result RemovePrefix(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("removeprefix", call, {"prefix"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string prefix, arguments.String(0));
  std::string_view text = self.AsString();
  if (text.substr(0, prefix.size()) == prefix) text.remove_prefix(prefix.size());
  return runtime.MakeString(std::string(text));
}

Result RemoveSuffix(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("removesuffix", call, {"suffix"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string suffix, arguments.String(0));
  std::string_view text = self.AsString();
  if (text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix) {
    text.remove_suffix(suffix.size());
  }
  return runtime.MakeString(std::string(text));
}

Result ReplaceMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("replace", call, {"old", "new", "count"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string from, arguments.String(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::string to, arguments.String(1));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t count, arguments.IntOr(2, -1));
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size(), from.size()));
  const std::size_t limit = count < 0 ? SIZE_MAX : static_cast<std::size_t>(count);
  const std::size_t matches = std::min(limit, CountOccurrences(text, from));
  // Paid for before it is made: the result may be far larger than its parts.
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(text.size()));
  if (matches > 0 && to.size() > runtime.options().max_bytes / matches) {
    return absl::ResourceExhaustedError("replace(): the result is too long");
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(matches * to.size()));
  return Value::String(Replace(text, from, to, limit));
}

Result Find(Runtime& runtime, const Value& self, const CallArguments& call, bool from_right) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("find", call, {"sub"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string part, arguments.String(0));
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size(), part.size()));
  const std::size_t found = from_right ? text.rfind(part) : text.find(part);
  if (found == std::string::npos) return Value::Int(-1);
  return Value::Int(static_cast<std::int64_t>(CountChars(std::string_view(text).substr(0, found))));
}
Result FindLeft(Runtime& runtime, const Value& self, const CallArguments& call) {
  return Find(runtime, self, call, false);
}
Result FindRight(Runtime& runtime, const Value& self, const CallArguments& call) {
  return Find(runtime, self, call, true);
}
Result IndexMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(Value found, Find(runtime, self, call, false));
  if (found.AsInt() < 0) return absl::InvalidArgumentError("index(): substring not found");
  return found;
}

Result CountMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("count", call, {"sub"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string part, arguments.String(0));
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(self.AsString().size(), part.size()));
  return Value::Int(static_cast<std::int64_t>(CountOccurrences(self.AsString(), part)));
}

Result JoinMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("join", call, {"iterable"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value iterable, arguments.Get(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, iterable));
  std::string text;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string()) {
      return absl::InvalidArgumentError(absl::StrCat("join(): item ", i, " is not a string but ",
                                                     base::ToAbsl(items[i].TypeName())));
    }
    const std::string_view separator = i > 0 ? self.AsString() : std::string_view();
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(separator.size() + items[i].AsString().size()));
    text.append(separator).append(items[i].AsString());
  }
  return Value::String(std::move(text));
}

/// Pads on one or both sides to a width in characters.
Result PadMethod(Runtime& runtime, const Value& self, const CallArguments& call, bool left,
                 bool right) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("center", call, {"width", "fillchar"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t width, arguments.Int(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::string fill, arguments.StringOr(1, " "));
  if (CountChars(fill) != 1) return absl::InvalidArgumentError("the fill is not one character");
  const std::int64_t length = static_cast<std::int64_t>(CountChars(self.AsString()));
  if (width <= length) return self;
  const std::size_t missing = static_cast<std::size_t>(width - length);
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(missing));
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(missing * fill.size()));
  // As Python: an odd place goes to the left when the width is odd.
  const std::size_t before = left && right
                                 ? missing / 2 + (missing & static_cast<std::size_t>(width) & 1)
                                 : missing * left;
  std::string text;
  for (std::size_t i = 0; i < before; ++i) text.append(fill);
  text.append(self.AsString());
  for (std::size_t i = before; i < missing; ++i) text.append(fill);
  return runtime.MakeString(std::move(text));
}
Result Center(Runtime& runtime, const Value& self, const CallArguments& call) {
  return PadMethod(runtime, self, call, true, true);
}
Result LJust(Runtime& runtime, const Value& self, const CallArguments& call) {
  return PadMethod(runtime, self, call, false, true);
}
Result RJust(Runtime& runtime, const Value& self, const CallArguments& call) {
  return PadMethod(runtime, self, call, true, false);
}

Result Partition(Runtime& runtime, const Value& self, const CallArguments& call, bool from_right) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("partition", call, {"sep"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string separator, arguments.String(0));
  if (separator.empty()) return absl::InvalidArgumentError("partition(): empty separator");
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size(), separator.size()));
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(text.size()));
  const std::size_t found = from_right ? text.rfind(separator) : text.find(separator);
  if (found == std::string::npos) {
    const Value empty = Value::String("");
    return from_right ? runtime.MakeTuple({empty, empty, self})
                      : runtime.MakeTuple({self, empty, empty});
  }
  return runtime.MakeTuple({Value::String(text.substr(0, found)), Value::String(separator),
                            Value::String(text.substr(found + separator.size()))});
}
Result PartitionLeft(Runtime& runtime, const Value& self, const CallArguments& call) {
  return Partition(runtime, self, call, false);
}
Result PartitionRight(Runtime& runtime, const Value& self, const CallArguments& call) {
  return Partition(runtime, self, call, true);
}

/// True when the text is not empty and every character passes.
template <typename Predicate>
Result AllCharacters(Runtime& runtime, const Value& self, const CallArguments& call,
                     Predicate passes) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("is…", call, {}).status());
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size()));
  for (std::size_t i = 0; i < text.size();) {
    if (!passes(NextChar(text, i))) return Value::Bool(false);
  }
  return Value::Bool(!text.empty());
}

utf8proc_category_t Category(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}
bool IsAlpha(char32_t c) {
  return Category(c) >= UTF8PROC_CATEGORY_LU && Category(c) <= UTF8PROC_CATEGORY_LO;
}
bool IsDecimal(char32_t c) { return Category(c) == UTF8PROC_CATEGORY_ND; }
bool IsAlnum(char32_t c) {
  return IsAlpha(c) || (Category(c) >= UTF8PROC_CATEGORY_ND && Category(c) <= UTF8PROC_CATEGORY_NO);
}

Result IsAlphaMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AllCharacters(runtime, self, call, IsAlpha);
}
Result IsDigitMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AllCharacters(runtime, self, call, IsDecimal);
}
Result IsAlnumMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AllCharacters(runtime, self, call, IsAlnum);
}
Result IsSpaceMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  return AllCharacters(runtime, self, call, IsPythonSpace);
}
Result IsUpperMethod(Runtime& runtime, const Value& self, const CallArguments&) {
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size()));
  return Value::Bool(Upper(text) == text && Lower(text) != text);
}
Result IsLowerMethod(Runtime& runtime, const Value& self, const CallArguments&) {
  const std::string& text = self.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(text.size()));
  return Value::Bool(Lower(text) == text && Upper(text) != text);
}

Result FormatMethod(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(std::string text, FormatBraces(runtime, self.AsString(), call));
  return Value::String(std::move(text));
}

}  // namespace

Method FindStringMethod(std::string_view name) {
  static const auto& methods = *new absl::flat_hash_map<std::string, Method>{
      {"upper", &UpperMethod},
      {"lower", &LowerMethod},
      {"casefold", &LowerMethod},
      {"title", &TitleMethod},
      {"capitalize", &CapitalizeMethod},
      {"strip", &Strip},
      {"lstrip", &LStrip},
      {"rstrip", &RStrip},
      {"split", &SplitLeft},
      {"rsplit", &SplitRight},
      {"splitlines", &SplitLinesMethod},
      {"startswith", &StartsWith},
      {"endswith", &EndsWith},
      {"removeprefix", &RemovePrefix},
      {"removesuffix", &RemoveSuffix},
      {"replace", &ReplaceMethod},
      {"find", &FindLeft},
      {"rfind", &FindRight},
      {"index", &IndexMethod},
      {"count", &CountMethod},
      {"join", &JoinMethod},
      {"center", &Center},
      {"ljust", &LJust},
      {"rjust", &RJust},
      {"partition", &PartitionLeft},
      {"rpartition", &PartitionRight},
      {"isalpha", &IsAlphaMethod},
      {"isdigit", &IsDigitMethod},
      {"isdecimal", &IsDigitMethod},
      {"isnumeric", &IsDigitMethod},
      {"isalnum", &IsAlnumMethod},
      {"isspace", &IsSpaceMethod},
      {"isupper", &IsUpperMethod},
      {"islower", &IsLowerMethod},
      {"format", &FormatMethod},
  };
  const auto it = methods.find(base::ToAbsl(name));
  return it == methods.end() ? nullptr : it->second;
}

}  // namespace moesaic::model::jinja
