#include "model/jinja/printing.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/string_escape.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

absl::Status AppendRepr(Runtime& runtime, const Value& value, std::string& out);

absl::Status AppendItems(Runtime& runtime, const std::vector<Value>& items, std::string& out) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out.append(", ");
    MOESAIC_RETURN_IF_ERROR(AppendRepr(runtime, items[i], out));
  }
  return absl::OkStatus();
}

absl::Status AppendDict(Runtime& runtime, const Mapping& mapping, std::string& out) {
  out.push_back('{');
  bool first = true;
  for (const auto& [key, value] : mapping.items) {
    if (!std::exchange(first, false)) out.append(", ");
    MOESAIC_RETURN_IF_ERROR(AppendRepr(runtime, key, out));
    out.append(": ");
    MOESAIC_RETURN_IF_ERROR(AppendRepr(runtime, value, out));
  }
  out.push_back('}');
  return absl::OkStatus();
}

std::string ScalarText(const Value& value) {
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.AsBool() ? "True" : "False";
  if (value.is_int()) return absl::StrCat(value.AsInt());
  if (value.is_float()) return FormatPythonFloat(value.AsFloat());
  if (value.is_undefined()) return "Undefined";
  return absl::StrCat("<", base::ToAbsl(value.TypeName()), ">");
}

absl::Status AppendRepr(Runtime& runtime, const Value& value, std::string& out) {
  MOESAIC_RETURN_IF_ERROR(runtime.Step());
  const std::size_t before = out.size();
  if (value.is_string()) {
    AppendPythonRepr(value.AsString(), out);
    return runtime.Charge(out.size() - before);
  }
  if (value.is_mapping()) return AppendDict(runtime, value.AsMapping(), out);
  if (value.is_sequence()) {
    out.push_back(value.is_tuple() ? '(' : '[');
    MOESAIC_RETURN_IF_ERROR(AppendItems(runtime, value.AsItems(), out));
    if (value.is_tuple() && value.AsItems().size() == 1) out.push_back(',');
    out.push_back(value.is_tuple() ? ')' : ']');
    return absl::OkStatus();
  }
  out.append(ScalarText(value));
  return absl::OkStatus();
}

/// Writes JSON in one style. Single-thread, used once.
class JsonWriter {
 public:
  JsonWriter(Runtime& runtime, const JsonStyle& style) : runtime_(runtime), style_(style) {}

  absl::Status Write(const Value& value) {
    MOESAIC_RETURN_IF_ERROR(runtime_.Step());
    if (value.is_mapping()) return WriteObject(value.AsMapping());
    if (value.is_sequence()) return WriteArray(value.AsItems());
    const std::size_t before = out_.size();
    if (value.is_string()) {
      AppendJsonString(value.AsString(), style_.ensure_ascii, out_);
    } else {
      MOESAIC_ASSIGN_OR_RETURN(const std::string text, Scalar(value));
      out_.append(text);
    }
    return runtime_.Charge(out_.size() - before);
  }

  std::string Take() { return std::move(out_); }

 private:
  static absl::StatusOr<std::string> Scalar(const Value& value) {
    if (value.is_none()) return "null";
    if (value.is_bool()) return value.AsBool() ? "true" : "false";
    if (value.is_int()) return absl::StrCat(value.AsInt());
    if (!value.is_float()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "object of type ", base::ToAbsl(value.TypeName()), " is not JSON serializable"));
    }
    const double number = value.AsFloat();
    if (std::isnan(number)) return "NaN";
    if (std::isinf(number)) return number < 0 ? "-Infinity" : "Infinity";
    return FormatPythonFloat(number);
  }

  absl::Status WriteArray(const std::vector<Value>& items) {
    if (items.empty()) {
      out_.append("[]");
      return absl::OkStatus();
    }
    Open('[');
    for (std::size_t i = 0; i < items.size(); ++i) {
      MOESAIC_RETURN_IF_ERROR(BeginItem(i == 0));
      MOESAIC_RETURN_IF_ERROR(Write(items[i]));
    }
    return Close(']');
  }

  absl::Status WriteObject(const Mapping& mapping) {
    if (mapping.items.empty()) {
      out_.append("{}");
      return absl::OkStatus();
    }
    std::vector<std::pair<std::string, const Value*>> members;
    for (const auto& [key, value] : mapping.items) {
      if (key.is_string()) {
        members.emplace_back(key.AsString(), &value);
      } else {
        MOESAIC_ASSIGN_OR_RETURN(std::string text, Scalar(key));
        members.emplace_back(std::move(text), &value);
      }
    }
    if (style_.sort_keys) {
      std::stable_sort(members.begin(), members.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    }
    Open('{');
    for (std::size_t i = 0; i < members.size(); ++i) {
      MOESAIC_RETURN_IF_ERROR(BeginItem(i == 0));
      AppendJsonString(members[i].first, style_.ensure_ascii, out_);
      MOESAIC_RETURN_IF_ERROR(runtime_.Charge(members[i].first.size()));
      out_.append(style_.key_separator);
      MOESAIC_RETURN_IF_ERROR(Write(*members[i].second));
    }
    return Close('}');
  }

  void Open(char bracket) {
    out_.push_back(bracket);
    ++level_;
  }
  absl::Status BeginItem(bool first) {
    if (!first) out_.append(style_.item_separator);
    return NewLine();
  }
  absl::Status Close(char bracket) {
    --level_;
    MOESAIC_RETURN_IF_ERROR(NewLine());
    out_.push_back(bracket);
    return absl::OkStatus();
  }
  absl::Status NewLine() {
    if (!style_.indent) return absl::OkStatus();
    MOESAIC_RETURN_IF_ERROR(runtime_.Charge(1 + level_ * style_.indent->size()));
    out_.push_back('\n');
    for (std::size_t i = 0; i < level_; ++i) out_.append(*style_.indent);
    return absl::OkStatus();
  }

  Runtime& runtime_;
  const JsonStyle& style_;
  std::size_t level_ = 0;
  std::string out_;
};

absl::StatusOr<Value> FromJsonAt(Runtime& runtime, const nlohmann::ordered_json& json, int depth);

absl::StatusOr<Value> FromJsonObject(Runtime& runtime, const nlohmann::ordered_json& json,
                                     int depth) {
  Mapping mapping;
  for (const auto& [key, member] : json.items()) {
    if (!IsValidUtf8(key)) return absl::InvalidArgumentError("a key is not valid UTF-8");
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(key.size()));
    MOESAIC_ASSIGN_OR_RETURN(Value value, FromJsonAt(runtime, member, depth + 1));
    mapping.Set(key, std::move(value));
  }
  return runtime.MakeDict(std::move(mapping));
}

absl::StatusOr<Value> FromJsonArray(Runtime& runtime, const nlohmann::ordered_json& json,
                                    int depth) {
  std::vector<Value> items;
  items.reserve(json.size());
  for (const nlohmann::ordered_json& element : json) {
    MOESAIC_ASSIGN_OR_RETURN(Value item, FromJsonAt(runtime, element, depth + 1));
    items.push_back(std::move(item));
  }
  return runtime.MakeList(std::move(items));
}

absl::StatusOr<Value> FromJsonAt(Runtime& runtime, const nlohmann::ordered_json& json, int depth) {
  if (depth > kMaxContainerDepth) {
    return absl::ResourceExhaustedError("the inputs are nested too deeply");
  }
  switch (json.type()) {
    case nlohmann::ordered_json::value_t::object:
      return FromJsonObject(runtime, json, depth);
    case nlohmann::ordered_json::value_t::array:
      return FromJsonArray(runtime, json, depth);
    case nlohmann::ordered_json::value_t::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!IsValidUtf8(text)) return absl::InvalidArgumentError("a string is not valid UTF-8");
      return runtime.MakeString(text);
    }
    case nlohmann::ordered_json::value_t::boolean:
      return Value::Bool(json.get<bool>());
    case nlohmann::ordered_json::value_t::number_unsigned:
      if (json.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
        return absl::InvalidArgumentError("an integer of the inputs exceeds 64 bits");
      }
      [[fallthrough]];
    case nlohmann::ordered_json::value_t::number_integer:
      return Value::Int(json.get<std::int64_t>());
    case nlohmann::ordered_json::value_t::number_float:
      return Value::Float(json.get<double>());
    default:
      return Value::None();
  }
}

}  // namespace

absl::StatusOr<std::string> ToText(Runtime& runtime, const Value& value) {
  if (value.is_string()) {
    MOESAIC_RETURN_IF_ERROR(runtime.StepSearch(value.AsString().size()));
    return value.AsString();
  }
  if (value.is_undefined()) return std::string();
  return ToRepr(runtime, value);
}

absl::StatusOr<std::string> ToRepr(Runtime& runtime, const Value& value) {
  std::string out;
  MOESAIC_RETURN_IF_ERROR(AppendRepr(runtime, value, out));
  return out;
}

absl::StatusOr<std::string> ToJson(Runtime& runtime, const Value& value, const JsonStyle& style) {
  JsonWriter writer(runtime, style);
  MOESAIC_RETURN_IF_ERROR(writer.Write(value));
  return writer.Take();
}

absl::StatusOr<Value> FromJson(Runtime& runtime, const nlohmann::ordered_json& json) {
  return FromJsonAt(runtime, json, 0);
}

}  // namespace moesaic::model::jinja
