#include <algorithm>
#include <charconv>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "model/jinja/arguments.h"
#include "model/jinja/filters.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"
#include "model/jinja/text.h"

namespace moesaic::model::jinja {
namespace {

using Result = absl::StatusOr<Value>;

/// "a.b.0" walks attributes and elements; an integer is an element.
Result Lookup(Runtime& runtime, const Value& item, const Value& path) {
  if (!path.is_string()) return GetItem(runtime, item, path);
  Value value = item;
  for (const std::string_view part : Split(path.AsString(), ".", SIZE_MAX)) {
    std::int64_t index = 0;
    const auto parsed = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_index = parsed.ec == std::errc() && parsed.ptr == part.data() + part.size();
    MOESAIC_ASSIGN_OR_RETURN(
        value,
        GetItem(runtime, value, is_index ? Value::Int(index) : Value::String(std::string(part))));
  }
  return value;
}

/// Sort keys ignore case unless told otherwise.
Result FoldCase(Runtime& runtime, const Value& value, bool case_sensitive) {
  if (case_sensitive || !value.is_string()) return value;
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(value.AsString().size()));
  return Value::String(Lower(value.AsString()));
}

struct Keyed {
  Value key;
  Value item;
};

/// Pairs every element with its key: itself, or its attribute.
absl::StatusOr<std::vector<Keyed>> WithKeys(Runtime& runtime, const Value& input,
                                            const Value* attribute, bool case_sensitive) {
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  std::vector<Keyed> keyed;
  for (const Value& item : items) {
    Value key = item;
    if (attribute != nullptr && !attribute->is_none()) {
      MOESAIC_ASSIGN_OR_RETURN(key, Lookup(runtime, item, *attribute));
    }
    MOESAIC_ASSIGN_OR_RETURN(key, FoldCase(runtime, key, case_sensitive));
    keyed.push_back({std::move(key), item});
  }
  return keyed;
}

/// A stable sort whose comparison may fail.
absl::Status SortByKey(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  absl::Status error;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (!error.ok()) return false;
    const absl::StatusOr<int> order =
        reverse ? Order(runtime, b.key, a.key) : Order(runtime, a.key, b.key);
    if (!order.ok()) {
      error = order.status();
      return false;
    }
    return *order < 0;
  });
  return error;
}

Result ItemsOf(Runtime& runtime, std::vector<Keyed> keyed) {
  std::vector<Value> items;
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return runtime.MakeList(std::move(items));
}

Result Sort(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(
      const auto arguments,
      BoundArguments::Bind("sort", call, {"reverse", "case_sensitive", "attribute"}));
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(2), arguments.BoolOr(1, false)));
  MOESAIC_RETURN_IF_ERROR(SortByKey(runtime, keyed, arguments.BoolOr(0, false)));
  return ItemsOf(runtime, std::move(keyed));
}

Result DictSort(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(
      const auto arguments,
      BoundArguments::Bind("dictsort", call, {"case_sensitive", "by", "reverse"}));
  if (!input.is_mapping()) return absl::InvalidArgumentError("dictsort: a mapping is required");
  MOESAIC_ASSIGN_OR_RETURN(const std::string by, arguments.StringOr(1, "key"));
  std::vector<Keyed> keyed;
  for (const auto& [key, value] : input.AsMapping().items) {
    MOESAIC_ASSIGN_OR_RETURN(Value pair, runtime.MakeTuple({key, value}));
    MOESAIC_ASSIGN_OR_RETURN(
        Value sort_key, FoldCase(runtime, by == "value" ? value : key, arguments.BoolOr(0, false)));
    keyed.push_back({std::move(sort_key), std::move(pair)});
  }
  MOESAIC_RETURN_IF_ERROR(SortByKey(runtime, keyed, arguments.BoolOr(2, false)));
  return ItemsOf(runtime, std::move(keyed));
}

Result Extreme(Runtime& runtime, const Value& input, const CallArguments& call, bool largest) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("min", call, {"case_sensitive", "attribute"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(1), arguments.BoolOr(0, false)));
  if (keyed.empty()) return Value::Undefined("no aggregated item, sequence was empty");
  const Keyed* best = &keyed.front();
  for (const Keyed& candidate : keyed) {
    MOESAIC_ASSIGN_OR_RETURN(const int order, Order(runtime, candidate.key, best->key));
    if (largest ? order > 0 : order < 0) best = &candidate;
  }
  return best->item;
}
Result Min(Runtime& runtime, const Value& input, const CallArguments& call) {
  return Extreme(runtime, input, call, false);
}
Result Max(Runtime& runtime, const Value& input, const CallArguments& call) {
  return Extreme(runtime, input, call, true);
}

Result Unique(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("unique", call, {"case_sensitive", "attribute"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(1), arguments.BoolOr(0, false)));
  std::vector<Keyed> kept;
  for (const Keyed& candidate : keyed) {
    bool seen = false;
    for (const Keyed& other : kept) {
      MOESAIC_ASSIGN_OR_RETURN(seen, Equals(runtime, other.key, candidate.key));
      if (seen) break;
    }
    if (!seen) kept.push_back(candidate);
  }
  return ItemsOf(runtime, std::move(kept));
}

Result GroupBy(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(
      const auto arguments,
      BoundArguments::Bind("groupby", call, {"attribute", "default", "case_sensitive"}));
  MOESAIC_RETURN_IF_ERROR(arguments.Get(0).status());
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(0), arguments.BoolOr(2, false)));
  for (Keyed& entry : keyed) {
    if (entry.key.is_undefined() && arguments.Find(1) != nullptr) entry.key = *arguments.Find(1);
  }
  MOESAIC_RETURN_IF_ERROR(SortByKey(runtime, keyed, false));
  std::vector<Value> groups;
  for (std::size_t begin = 0; begin < keyed.size();) {
    std::vector<Value> members;
    std::size_t end = begin;
    for (; end < keyed.size(); ++end) {
      MOESAIC_ASSIGN_OR_RETURN(const bool same, Equals(runtime, keyed[end].key, keyed[begin].key));
      if (!same) break;
      members.push_back(keyed[end].item);
    }
    MOESAIC_ASSIGN_OR_RETURN(Value list, runtime.MakeList(std::move(members)));
    MOESAIC_ASSIGN_OR_RETURN(Value group, runtime.MakeTuple({keyed[begin].key, std::move(list)}));
    groups.push_back(std::move(group));
    begin = end;
  }
  return runtime.MakeList(std::move(groups));
}

Result Join(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("join", call, {"d", "attribute"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string separator, arguments.StringOr(0, ""));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(1), true));
  std::string out;
  for (std::size_t i = 0; i < keyed.size(); ++i) {
    MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, keyed[i].key));
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(separator.size() + text.size()));
    if (i > 0) out.append(separator);
    out.append(text);
  }
  return Value::String(std::move(out));
}

Result First(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  return items.empty() ? Value::Undefined("no first item, sequence was empty") : items.front();
}

Result Last(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  return items.empty() ? Value::Undefined("no last item, sequence was empty") : items.back();
}

Result List(Runtime& runtime, const Value& input, const CallArguments&) {
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime, input));
  return runtime.MakeList(std::move(items));
}

Result Reverse(Runtime& runtime, const Value& input, const CallArguments&) {
  if (input.is_string()) {
    return GetSlice(runtime, input, Value::None(), Value::None(), Value::Int(-1));
  }
  MOESAIC_ASSIGN_OR_RETURN(std::vector<Value> items, Iterate(runtime, input));
  std::reverse(items.begin(), items.end());
  return runtime.MakeList(std::move(items));
}

Result Sum(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("sum", call, {"attribute", "start"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Keyed> keyed,
                           WithKeys(runtime, input, arguments.Find(0), true));
  Value sum = arguments.Find(1) == nullptr ? Value::Int(0) : *arguments.Find(1);
  for (const Keyed& entry : keyed) {
    MOESAIC_ASSIGN_OR_RETURN(sum, Apply(runtime, BinaryOperator::kAdd, sum, entry.key));
  }
  return sum;
}

Result Batch(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("batch", call, {"linecount", "fill_with"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t size, arguments.Int(0));
  if (size < 1 || size > (1 << 20)) return absl::InvalidArgumentError("batch: bad size");
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  std::vector<Value> batches;
  for (std::size_t begin = 0; begin < items.size(); begin += size) {
    const std::size_t end = std::min(items.size(), begin + static_cast<std::size_t>(size));
    std::vector<Value> batch(items.begin() + begin, items.begin() + end);
    if (!arguments.IsAbsent(1)) batch.resize(static_cast<std::size_t>(size), *arguments.Find(1));
    MOESAIC_ASSIGN_OR_RETURN(Value list, runtime.MakeList(std::move(batch)));
    batches.push_back(std::move(list));
  }
  return runtime.MakeList(std::move(batches));
}

/// map(attribute=…, default=…) or map("filter", arguments…).
Result Map(Runtime& runtime, const Value& input, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  std::vector<Value> mapped;
  if (!call.positional.empty()) {
    if (!call.positional[0].is_string()) {
      return absl::InvalidArgumentError("map: the filter must be a name");
    }
    const CallArguments rest{{call.positional.begin() + 1, call.positional.end()}, call.named};
    for (const Value& item : items) {
      MOESAIC_ASSIGN_OR_RETURN(Value value,
                               ApplyFilter(runtime, call.positional[0].AsString(), item, rest));
      mapped.push_back(std::move(value));
    }
    return runtime.MakeList(std::move(mapped));
  }
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("map", call, {"attribute", "default"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value attribute, arguments.Get(0));
  for (const Value& item : items) {
    MOESAIC_ASSIGN_OR_RETURN(Value value, Lookup(runtime, item, attribute));
    if (value.is_undefined() && arguments.Find(1) != nullptr) value = *arguments.Find(1);
    mapped.push_back(std::move(value));
  }
  return runtime.MakeList(std::move(mapped));
}

/// Keeps the elements for which a test (by default: truth) on them, or on an attribute, is `keep`.
Result SelectBy(Runtime& runtime, const Value& input, const CallArguments& call, bool by_attribute,
                bool keep) {
  const std::size_t test = by_attribute ? 1 : 0;
  if (call.positional.size() < test) {
    return absl::InvalidArgumentError("selectattr: the attribute is missing");
  }
  CallArguments rest;
  rest.named = call.named;
  if (call.positional.size() > test) {
    if (!call.positional[test].is_string()) {
      return absl::InvalidArgumentError("select: the test must be a name");
    }
    rest.positional.assign(call.positional.begin() + test + 1, call.positional.end());
  }
  MOESAIC_ASSIGN_OR_RETURN(const std::vector<Value> items, Iterate(runtime, input));
  std::vector<Value> kept;
  for (const Value& item : items) {
    Value subject = item;
    if (by_attribute) {
      MOESAIC_ASSIGN_OR_RETURN(subject, Lookup(runtime, item, call.positional[0]));
    }
    bool passes = subject.IsTrue();
    if (call.positional.size() > test) {
      MOESAIC_ASSIGN_OR_RETURN(passes,
                               ApplyTest(runtime, call.positional[test].AsString(), subject, rest));
    }
    if (passes == keep) kept.push_back(item);
  }
  return runtime.MakeList(std::move(kept));
}
Result Select(Runtime& runtime, const Value& input, const CallArguments& call) {
  return SelectBy(runtime, input, call, false, true);
}
Result Reject(Runtime& runtime, const Value& input, const CallArguments& call) {
  return SelectBy(runtime, input, call, false, false);
}
Result SelectAttr(Runtime& runtime, const Value& input, const CallArguments& call) {
  return SelectBy(runtime, input, call, true, true);
}
Result RejectAttr(Runtime& runtime, const Value& input, const CallArguments& call) {
  return SelectBy(runtime, input, call, true, false);
}

}  // namespace

FilterFunction FindListFilter(std::string_view name) {
  static const auto& filters = *new absl::flat_hash_map<std::string, FilterFunction>{
      {"batch", &Batch},     {"dictsort", &DictSort}, {"first", &First},
      {"groupby", &GroupBy}, {"join", &Join},         {"last", &Last},
      {"list", &List},       {"map", &Map},           {"max", &Max},
      {"min", &Min},         {"reject", &Reject},     {"rejectattr", &RejectAttr},
      {"reverse", &Reverse}, {"select", &Select},     {"selectattr", &SelectAttr},
      {"sort", &Sort},       {"sum", &Sum},           {"unique", &Unique},
  };
  const auto it = filters.find(base::ToAbsl(name));
  return it == filters.end() ? nullptr : it->second;
}

}  // namespace moesaic::model::jinja
