#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/methods.h"
#include "model/jinja/operations.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

/// A method taken from its object without being called at once.
class BoundMethod final : public Object {
 public:
  BoundMethod(Runtime& runtime, Value self, Method method)
      : runtime_(runtime), self_(std::move(self)), method_(method) {}
  std::string_view TypeName() const override { return "builtin_function_or_method"; }
  bool IsCallable() const override { return true; }
  absl::StatusOr<Value> Call(const CallArguments& arguments) override {
    return method_(runtime_, self_, arguments);
  }

 private:
  Runtime& runtime_;
  Value self_;
  Method method_;
};

absl::Status NotIterable(const Value& value) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(value.TypeName()), "' object is not iterable"));
}

Value Missing(const Value& value, std::string_view name) {
  return Value::Undefined(absl::StrCat("'", base::ToAbsl(value.TypeName()),
                                       " object' has no attribute '", base::ToAbsl(name), "'"));
}

absl::StatusOr<Value> ElementAt(Runtime& runtime, const Value& value, std::int64_t index) {
  std::int64_t size = 0;
  std::u32string chars;
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(value.AsString().size()));
    chars = ToUtf32(value.AsString());
    size = static_cast<std::int64_t>(chars.size());
  } else {
    size = static_cast<std::int64_t>(value.AsItems().size());
  }
  if (index < 0) index += size;
  if (index < 0 || index >= size) {
    return Value::Undefined(
        absl::StrCat(base::ToAbsl(value.TypeName()), " object has no element ", index));
  }
  if (!value.is_string()) return value.AsItems()[index];
  return runtime.MakeString(ToUtf8(chars.substr(index, 1)));
}

/// Python's slice.indices: the positions that a slice takes of `size` elements.
absl::StatusOr<std::vector<std::int64_t>> SliceIndices(Runtime& runtime, std::int64_t size,
                                                       const Value& start, const Value& stop,
                                                       const Value& step_value) {
  for (const Value* bound : {&start, &stop, &step_value}) {
    if (!bound->is_none() && !bound->is_integral()) {
      return absl::InvalidArgumentError("slice indices must be integers or None");
    }
  }
  const std::int64_t step =
      step_value.is_none() ? 1 : std::clamp<std::int64_t>(step_value.AsInt(), -size - 1, size + 1);
  if (step == 0) return absl::InvalidArgumentError("slice step cannot be zero");
  const std::int64_t low = step < 0 ? -1 : 0;
  const std::int64_t high = step < 0 ? size - 1 : size;
  const auto bound = [&](const Value& value, std::int64_t fallback) {
    if (value.is_none()) return fallback;
    const std::int64_t index = value.AsInt();
    return std::clamp(index < 0 ? index + size : index, low, high);
  };
  const std::int64_t first = bound(start, step < 0 ? high : low);
  const std::int64_t last = bound(stop, step < 0 ? low : high);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = first; step < 0 ? i > last : i < last; i += step) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step());
    indices.push_back(i);
  }
  return indices;
}

}  // namespace

absl::StatusOr<std::vector<Value>> Iterate(Runtime& runtime, const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.is_sequence()) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step(value.AsItems().size()));
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(value.AsItems().size() * sizeof(Value)));
    return value.AsItems();
  }
  if (value.is_mapping()) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step(value.AsMapping().items.size()));
    for (const auto& [key, element] : value.AsMapping().items) items.push_back(key);
    return items;
  }
  if (!value.is_string()) return NotIterable(value);
  const std::string& text = value.AsString();
  MOESAIC_RETURN_IF_ERROR(runtime.Step(text.size()));
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t begin = i;
    NextChar(text, i);
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(sizeof(Value)));
    MOESAIC_ASSIGN_OR_RETURN(Value character, runtime.MakeString(text.substr(begin, i - begin)));
    items.push_back(std::move(character));
  }
  return items;
}

absl::StatusOr<std::int64_t> Length(Runtime& runtime, const Value& value) {
  if (value.is_undefined()) return 0;
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(value.AsString().size()));
    return static_cast<std::int64_t>(CountChars(value.AsString()));
  }
  if (value.is_sequence()) return static_cast<std::int64_t>(value.AsItems().size());
  if (value.is_mapping()) return static_cast<std::int64_t>(value.AsMapping().items.size());
  return absl::InvalidArgumentError(
      absl::StrCat("object of type '", base::ToAbsl(value.TypeName()), "' has no len()"));
}

absl::StatusOr<Value> GetAttribute(Runtime& runtime, const Value& value, std::string_view name) {
  if (value.is_undefined()) return absl::InvalidArgumentError(value.UndefinedMessage());
  if (value.is_object()) {
    std::optional<Value> attribute = value.AsObject().GetAttribute(name);
    return attribute ? *std::move(attribute) : Missing(value, name);
  }
  if (const Method method = FindMethod(value, name)) {
    return runtime.MakeObject<BoundMethod>(runtime, value, method);
  }
  if (value.is_mapping()) {
    if (const Value* element = value.AsMapping().Find(name)) return *element;
  }
  return Missing(value, name);
}

absl::StatusOr<Value> GetItem(Runtime& runtime, const Value& value, const Value& key) {
  if (value.is_undefined()) return absl::InvalidArgumentError(value.UndefinedMessage());
  if (value.is_mapping()) {
    if (key.is_string()) {
      MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(key.AsString().size()));
      if (const Value* element = value.AsMapping().Find(key.AsString())) return *element;
    } else {
      for (const auto& [candidate, element] : value.AsMapping().items) {
        MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, candidate, key));
        if (equal) return element;
      }
    }
  }
  if ((value.is_sequence() || value.is_string()) && key.is_integral()) {
    return ElementAt(runtime, value, key.AsInt());
  }
  if (key.is_string()) return GetAttribute(runtime, value, key.AsString());
  return Value::Undefined(
      absl::StrCat("'", base::ToAbsl(value.TypeName()), " object' has no such element"));
}

absl::StatusOr<Value> GetSlice(Runtime& runtime, const Value& value, const Value& start,
                               const Value& stop, const Value& step) {
  if (value.is_undefined()) return absl::InvalidArgumentError(value.UndefinedMessage());
  if (!value.is_string() && !value.is_sequence()) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", base::ToAbsl(value.TypeName()), "' object cannot be sliced"));
  }
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(value.AsString().size()));
    const std::u32string chars = ToUtf32(value.AsString());
    MOESAIC_ASSIGN_OR_RETURN(const auto indices,
                             SliceIndices(runtime, chars.size(), start, stop, step));
    std::string text;
    for (const std::int64_t i : indices) AppendUtf8(chars[i], text);
    return runtime.MakeString(std::move(text));
  }
  const std::vector<Value>& elements = value.AsItems();
  MOESAIC_ASSIGN_OR_RETURN(const auto indices,
                           SliceIndices(runtime, elements.size(), start, stop, step));
  std::vector<Value> items;
  for (const std::int64_t i : indices) items.push_back(elements[i]);
  return value.is_tuple() ? runtime.MakeTuple(std::move(items))
                          : runtime.MakeList(std::move(items));
}

}  // namespace moesaic::model::jinja
