#include "model/jinja/objects.h"

#include "base/status_macros.h"
#include "model/jinja/operations.h"

namespace moesaic::model::jinja {

std::optional<Value> NamespaceObject::GetAttribute(std::string_view name) const {
  const Value* value = attributes_.Find(name);
  if (value == nullptr) return std::nullopt;
  return *value;
}

std::optional<std::int64_t> LoopObject::Counter(std::string_view name) const {
  const auto index = static_cast<std::int64_t>(index_);
  const auto size = static_cast<std::int64_t>(items_.size());
  if (name == "index0") return index;
  if (name == "index") return index + 1;
  if (name == "revindex0") return size - index - 1;
  if (name == "revindex") return size - index;
  if (name == "length") return size;
  if (name == "depth0") return static_cast<std::int64_t>(depth0_);
  if (name == "depth") return static_cast<std::int64_t>(depth0_) + 1;
  return std::nullopt;
}

std::optional<Value> LoopObject::Neighbour(std::string_view name) const {
  if (name == "previtem") {
    return index_ > 0 ? items_[index_ - 1] : Value::Undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index_ + 1 < items_.size() ? items_[index_ + 1]
                                      : Value::Undefined("there is no next item");
  }
  return std::nullopt;
}

std::optional<Value> LoopObject::MethodNamed(std::string_view name) const {
  FunctionObject::Function function;
  if (name == "cycle") {
    function = [this](const CallArguments& call) -> absl::StatusOr<Value> {
      if (call.positional.empty()) return absl::InvalidArgumentError("no items for cycling given");
      return call.positional[index_ % call.positional.size()];
    };
  } else if (name == "changed") {
    function = [loop = const_cast<LoopObject*>(this)](const CallArguments& call) {
      return loop->Changed(call);
    };
  } else {
    return std::nullopt;
  }
  absl::StatusOr<Value> method = runtime_.MakeObject<FunctionObject>(std::move(function));
  if (!method.ok()) return std::nullopt;
  return *std::move(method);
}

std::optional<Value> LoopObject::GetAttribute(std::string_view name) const {
  if (const std::optional<std::int64_t> counter = Counter(name)) return Value::Int(*counter);
  if (name == "first") return Value::Bool(index_ == 0);
  if (name == "last") return Value::Bool(index_ + 1 >= items_.size());
  if (std::optional<Value> neighbour = Neighbour(name)) return neighbour;
  return MethodNamed(name);
}

absl::StatusOr<Value> LoopObject::Call(const CallArguments& arguments) {
  if (recurse_ == nullptr) {
    return absl::InvalidArgumentError("the loop must have the 'recursive' marker to be called");
  }
  return recurse_(arguments);
}

absl::StatusOr<Value> LoopObject::Changed(const CallArguments& arguments) {
  bool same = last_changed_ && last_changed_->size() == arguments.positional.size();
  for (std::size_t i = 0; same && i < arguments.positional.size(); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(same, Equals(runtime_, (*last_changed_)[i], arguments.positional[i]));
  }
  if (!same) last_changed_ = arguments.positional;
  return Value::Bool(!same);
}

}  // namespace moesaic::model::jinja
