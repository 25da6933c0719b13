#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace moesaic::model::jinja {

class Object;
class Value;
struct CallArguments;
struct Mapping;

/// Elements of a list or tuple. Immutable once a Value holds it.
struct Sequence {
  std::vector<Value> items;
  bool is_tuple = false;
  /// Nesting: one more than the deepest element.
  int depth = 1;
};

/// A value of the template language with Python's types. Copies share strings and containers, which
/// are immutable; objects belong to the Runtime and live until the rendering ends.
class Value {
 public:
  /// Undefined, without a name.
  Value() = default;

  static Value Undefined(std::string message);
  static Value None() { return Value(NoneType()); }
  static Value Bool(bool value) { return Value(value); }
  static Value Int(std::int64_t value) { return Value(value); }
  static Value Float(double value) { return Value(value); }
  /// Strings and containers are made by Runtime, which accounts for them; these are for constants.
  static Value String(std::string value);
  static Value FromSequence(std::shared_ptr<const Sequence> value) {
    return Value(std::move(value));
  }
  static Value FromMapping(std::shared_ptr<const Mapping> value) { return Value(std::move(value)); }
  static Value FromObject(Object* value) { return Value(value); }

  bool is_undefined() const { return Is<UndefinedType>(); }
  bool is_none() const { return Is<NoneType>(); }
  bool is_bool() const { return Is<bool>(); }
  bool is_int() const { return Is<std::int64_t>(); }
  bool is_float() const { return Is<double>(); }
  /// Python's int, float and bool.
  bool is_number() const { return is_bool() || is_int() || is_float(); }
  /// Python's int and bool.
  bool is_integral() const { return is_bool() || is_int(); }
  bool is_string() const { return Is<StringPtr>(); }
  bool is_sequence() const { return Is<SequencePtr>(); }
  bool is_tuple() const { return is_sequence() && std::get<SequencePtr>(data_)->is_tuple; }
  bool is_mapping() const { return Is<MappingPtr>(); }
  bool is_object() const { return Is<Object*>(); }

  // Each requires its kind.
  bool AsBool() const { return std::get<bool>(data_); }
  std::int64_t AsInt() const {
    return is_bool() ? static_cast<std::int64_t>(AsBool()) : std::get<std::int64_t>(data_);
  }
  double AsFloat() const {
    return is_float() ? std::get<double>(data_) : static_cast<double>(AsInt());
  }
  const std::string& AsString() const { return *std::get<StringPtr>(data_); }
  const std::vector<Value>& AsItems() const { return std::get<SequencePtr>(data_)->items; }
  const Mapping& AsMapping() const { return *std::get<MappingPtr>(data_); }
  Object& AsObject() const { return *std::get<Object*>(data_); }

  /// Nesting of containers; 0 for anything else.
  int depth() const;
  /// Python's truth value.
  bool IsTrue() const;
  /// Python's name of the type, for messages.
  std::string_view TypeName() const;
  /// "'x' is undefined". Requires: is_undefined().
  std::string UndefinedMessage() const;

 private:
  struct NoneType {};
  struct UndefinedType {
    std::shared_ptr<const std::string> message;
  };
  using StringPtr = std::shared_ptr<const std::string>;
  using SequencePtr = std::shared_ptr<const Sequence>;
  using MappingPtr = std::shared_ptr<const Mapping>;

  template <typename T>
  explicit Value(T value) : data_(std::move(value)) {}
  template <typename T>
  bool Is() const {
    return std::holds_alternative<T>(data_);
  }

  std::variant<UndefinedType, NoneType, bool, std::int64_t, double, StringPtr, SequencePtr,
               MappingPtr, Object*>
      data_;
};

/// A dict: keys in order of insertion. Immutable once a Value holds it.
struct Mapping {
  std::vector<std::pair<Value, Value>> items;
  /// Positions of string keys.
  absl::flat_hash_map<std::string, std::size_t> index;
  int depth = 1;

  /// The value of a string key, or null.
  const Value* Find(std::string_view key) const;
  /// Sets a string key.
  void Set(std::string_view key, Value value);
};

/// What a call passes.
struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

/// A value with identity: a namespace, a loop, a macro, a function. Single-thread.
class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view TypeName() const = 0;
  virtual bool IsCallable() const { return false; }
  /// The attribute, or nothing when there is none.
  virtual std::optional<Value> GetAttribute(std::string_view name) const;
  /// Errors: InvalidArgument when it cannot be called or refuses the arguments.
  virtual absl::StatusOr<Value> Call(const CallArguments& arguments);
};

}  // namespace moesaic::model::jinja
