#include "model/jinja/methods.h"

#include "absl/container/flat_hash_map.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/operations.h"

namespace moesaic::model::jinja {
namespace {

absl::StatusOr<Value> DictItems(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("items", call, {}).status());
  std::vector<Value> items;
  for (const auto& [key, value] : self.AsMapping().items) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step());
    MOESAIC_ASSIGN_OR_RETURN(Value pair, runtime.MakeTuple({key, value}));
    items.push_back(std::move(pair));
  }
  return runtime.MakeList(std::move(items));
}

absl::StatusOr<Value> DictKeys(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("keys", call, {}).status());
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Value> keys, Iterate(runtime, self));
  return runtime.MakeList(std::move(keys));
}

absl::StatusOr<Value> DictValues(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("values", call, {}).status());
  MOESAIC_RETURN_IF_ERROR(runtime.Step(self.AsMapping().items.size()));
  std::vector<Value> values;
  for (const auto& [key, value] : self.AsMapping().items) values.push_back(value);
  return runtime.MakeList(std::move(values));
}

absl::StatusOr<Value> DictGet(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("get", call, {"key", "default"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value key, arguments.Get(0));
  MOESAIC_ASSIGN_OR_RETURN(const bool found, Contains(runtime, self, key));
  if (!found) return arguments.Find(1) == nullptr ? Value::None() : *arguments.Find(1);
  if (key.is_string()) return *self.AsMapping().Find(key.AsString());
  return GetItem(runtime, self, key);
}

absl::StatusOr<Value> Copy(Runtime&, const Value& self, const CallArguments& call) {
  MOESAIC_RETURN_IF_ERROR(BoundArguments::Bind("copy", call, {}).status());
  return self;
}

absl::StatusOr<Value> ListIndex(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("index", call, {"value"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value wanted, arguments.Get(0));
  for (std::size_t i = 0; i < self.AsItems().size(); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, self.AsItems()[i], wanted));
    if (equal) return Value::Int(static_cast<std::int64_t>(i));
  }
  return absl::InvalidArgumentError("index(): the value is not in the list");
}

absl::StatusOr<Value> ListCount(Runtime& runtime, const Value& self, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments, BoundArguments::Bind("count", call, {"value"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value wanted, arguments.Get(0));
  std::int64_t count = 0;
  for (const Value& item : self.AsItems()) {
    MOESAIC_ASSIGN_OR_RETURN(const bool equal, Equals(runtime, item, wanted));
    count += equal ? 1 : 0;
  }
  return Value::Int(count);
}

Method FindDictMethod(std::string_view name) {
  if (name == "items") return &DictItems;
  if (name == "keys") return &DictKeys;
  if (name == "values") return &DictValues;
  if (name == "get") return &DictGet;
  if (name == "copy") return &Copy;
  return nullptr;
}

Method FindListMethod(std::string_view name) {
  if (name == "index") return &ListIndex;
  if (name == "count") return &ListCount;
  if (name == "copy") return &Copy;
  return nullptr;
}

}  // namespace

Method FindMethod(const Value& self, std::string_view name) {
  if (self.is_string()) return FindStringMethod(name);
  if (self.is_mapping()) return FindDictMethod(name);
  if (self.is_sequence()) return FindListMethod(name);
  return nullptr;
}

}  // namespace moesaic::model::jinja
