#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/chat_template.h"
#include "model/jinja/value.h"

namespace moesaic::model::jinja {

/// Nesting that lists and dicts may have: bounds every recursion over values.
inline constexpr int kMaxContainerDepth = 100;

/// What one rendering consumes and owns: its budget of steps, memory and recursion, and the objects
/// it made. Single-thread.
class Runtime {
 public:
  explicit Runtime(const RenderOptions& options) : options_(options) {}
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  const RenderOptions& options() const { return options_; }

  /// Takes `count` steps from the budget. Errors: ResourceExhausted.
  absl::Status Step(std::size_t count = 1);
  /// Takes the steps of a search for `part` bytes in `text` bytes, or of one pass with `part` 1.
  absl::Status StepSearch(std::size_t text, std::size_t part = 1);
  /// Takes `bytes` from the budget, which is never given back. Errors: ResourceExhausted.
  absl::Status Charge(std::size_t bytes);

  /// The template raised an error on purpose: its message stands for itself.
  void MarkRaised() { raised_ = true; }
  bool raised() const { return raised_; }

  // Values, charged for. Errors: ResourceExhausted for size or nesting.
  absl::StatusOr<Value> MakeString(std::string text);
  absl::StatusOr<Value> MakeList(std::vector<Value> items);
  absl::StatusOr<Value> MakeTuple(std::vector<Value> items);
  absl::StatusOr<Value> MakeDict(Mapping mapping);

  /// Makes an object that lives until the rendering ends.
  template <typename T, typename... Args>
  absl::StatusOr<Value> MakeObject(Args&&... args) {
    if (absl::Status charged = Charge(sizeof(T) + kObjectOverheadBytes); !charged.ok()) {
      return charged;
    }
    objects_.push_back(std::make_unique<T>(std::forward<Args>(args)...));
    return Value::FromObject(objects_.back().get());
  }

  /// One level of recursion for as long as it lives. Check ok() first.
  class Level {
   public:
    explicit Level(Runtime& runtime) : runtime_(runtime) { ++runtime_.depth_; }
    ~Level() { --runtime_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
    /// Errors: ResourceExhausted.
    absl::Status ok() const;

   private:
    Runtime& runtime_;
  };

 private:
  static constexpr std::size_t kObjectOverheadBytes = 64;

  absl::StatusOr<Value> MakeSequence(std::vector<Value> items, bool is_tuple);

  const RenderOptions& options_;
  std::size_t steps_ = 0;
  std::size_t bytes_ = 0;
  std::size_t depth_ = 0;
  bool raised_ = false;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace moesaic::model::jinja
