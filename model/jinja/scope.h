#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/strings.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// The variables of a template, a loop turn, a macro call or a block, on top of those around it.
/// Single-thread.
class Scope {
 public:
  explicit Scope(std::shared_ptr<Scope> outer = nullptr) : outer_(std::move(outer)) {}

  /// The value in the innermost scope that has it, or null.
  const Value* Find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_.get()) {
      const auto it = scope->variables_.find(base::ToAbsl(name));
      if (it != scope->variables_.end()) return &it->second;
    }
    return nullptr;
  }
  /// Sets a variable of this scope.
  void Set(std::string_view name, Value value) {
    variables_.insert_or_assign(std::string(name), std::move(value));
  }

 private:
  std::shared_ptr<Scope> outer_;
  absl::flat_hash_map<std::string, Value> variables_;
};

using ScopePtr = std::shared_ptr<Scope>;

}  // namespace moesaic::model::jinja
