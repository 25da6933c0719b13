#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "model/jinja/runtime.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// A function of the template language.
class FunctionObject final : public Object {
 public:
  using Function = std::function<absl::StatusOr<Value>(const CallArguments&)>;
  explicit FunctionObject(Function function) : function_(std::move(function)) {}
  std::string_view TypeName() const override { return "function"; }
  bool IsCallable() const override { return true; }
  absl::StatusOr<Value> Call(const CallArguments& arguments) override {
    return function_(arguments);
  }

 private:
  Function function_;
};

/// namespace(…): the only thing a template can change.
class NamespaceObject final : public Object {
 public:
  explicit NamespaceObject(Mapping attributes) : attributes_(std::move(attributes)) {}
  std::string_view TypeName() const override { return "Namespace"; }
  std::optional<Value> GetAttribute(std::string_view name) const override;
  void SetAttribute(std::string_view name, Value value) { attributes_.Set(name, std::move(value)); }

 private:
  Mapping attributes_;
};

/// The variable `loop`.
class LoopObject final : public Object {
 public:
  /// `recurse`: what loop(…) does; empty for a loop that is not recursive. depth0: loops of the
  /// same statement around this one.
  LoopObject(Runtime& runtime, std::vector<Value> items, std::size_t depth0,
             FunctionObject::Function recurse)
      : runtime_(runtime),
        items_(std::move(items)),
        depth0_(depth0),
        recurse_(std::move(recurse)) {}

  std::string_view TypeName() const override { return "LoopContext"; }
  bool IsCallable() const override { return recurse_ != nullptr; }
  std::optional<Value> GetAttribute(std::string_view name) const override;
  absl::StatusOr<Value> Call(const CallArguments& arguments) override;

  const std::vector<Value>& items() const { return items_; }
  void MoveTo(std::size_t index) { index_ = index; }

 private:
  std::optional<std::int64_t> Counter(std::string_view name) const;
  std::optional<Value> Neighbour(std::string_view name) const;
  std::optional<Value> MethodNamed(std::string_view name) const;
  absl::StatusOr<Value> Changed(const CallArguments& arguments);

  Runtime& runtime_;
  std::vector<Value> items_;
  std::size_t depth0_;
  std::size_t index_ = 0;
  FunctionObject::Function recurse_;
  std::optional<std::vector<Value>> last_changed_;
};

}  // namespace moesaic::model::jinja
