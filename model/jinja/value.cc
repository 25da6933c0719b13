#include "model/jinja/value.h"

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::model::jinja {

Value Value::Undefined(std::string message) {
  return Value(UndefinedType{std::make_shared<const std::string>(std::move(message))});
}

Value Value::String(std::string value) {
  return Value(std::make_shared<const std::string>(std::move(value)));
}

int Value::depth() const {
  if (is_sequence()) return std::get<SequencePtr>(data_)->depth;
  if (is_mapping()) return std::get<MappingPtr>(data_)->depth;
  return 0;
}

bool Value::IsTrue() const {
  if (is_bool()) return AsBool();
  if (is_int()) return AsInt() != 0;
  if (is_float()) return AsFloat() != 0.0;
  if (is_string()) return !AsString().empty();
  if (is_sequence()) return !AsItems().empty();
  if (is_mapping()) return !AsMapping().items.empty();
  return is_object();
}

std::string_view Value::TypeName() const {
  if (is_undefined()) return "Undefined";
  if (is_none()) return "NoneType";
  if (is_bool()) return "bool";
  if (is_int()) return "int";
  if (is_float()) return "float";
  if (is_string()) return "str";
  if (is_sequence()) return is_tuple() ? "tuple" : "list";
  if (is_mapping()) return "dict";
  return AsObject().TypeName();
}

std::string Value::UndefinedMessage() const {
  const auto& message = std::get<UndefinedType>(data_).message;
  return message == nullptr ? "the value is undefined" : *message;
}

const Value* Mapping::Find(std::string_view key) const {
  const auto it = index.find(base::ToAbsl(key));
  return it == index.end() ? nullptr : &items[it->second].second;
}

void Mapping::Set(std::string_view key, Value value) {
  const auto [it, inserted] = index.try_emplace(std::string(key), items.size());
  if (inserted) {
    items.emplace_back(Value::String(std::string(key)), std::move(value));
  } else {
    items[it->second].second = std::move(value);
  }
}

std::optional<Value> Object::GetAttribute(std::string_view) const { return std::nullopt; }

absl::StatusOr<Value> Object::Call(const CallArguments&) {
  return absl::InvalidArgumentError(
      absl::StrCat("'", base::ToAbsl(TypeName()), "' object is not callable"));
}

}  // namespace moesaic::model::jinja
