#include "model/jinja/globals.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "model/jinja/arguments.h"
#include "model/jinja/objects.h"
#include "model/jinja/operations.h"
#include "model/jinja/printing.h"

namespace moesaic::model::jinja {
namespace {

using Result = absl::StatusOr<Value>;
using Global = Result (*)(Runtime& runtime, const CallArguments& arguments);

Result Range(Runtime& runtime, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("range", call, {"start", "stop", "step"}));
  MOESAIC_ASSIGN_OR_RETURN(std::int64_t start, arguments.Int(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::int64_t step, arguments.IntOr(2, 1));
  std::int64_t stop = start;
  if (arguments.Find(1) == nullptr) {
    start = 0;
  } else {
    MOESAIC_ASSIGN_OR_RETURN(stop, arguments.Int(1));
  }
  if (step == 0) return absl::InvalidArgumentError("range(): step is zero");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    MOESAIC_RETURN_IF_ERROR(runtime.Step());
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(sizeof(Value)));
    items.push_back(Value::Int(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return runtime.MakeList(std::move(items));
}

/// The entries of a dict argument, then the named arguments.
absl::StatusOr<Mapping> CollectEntries(Runtime& runtime, const CallArguments& call) {
  Mapping mapping;
  for (const Value& source : call.positional) {
    if (!source.is_mapping()) return absl::InvalidArgumentError("a mapping is required");
    for (const auto& [key, value] : source.AsMapping().items) {
      MOESAIC_RETURN_IF_ERROR(SetKey(runtime, mapping, key, value));
    }
  }
  for (const auto& [name, value] : call.named) mapping.Set(name, value);
  return mapping;
}

Result Dict(Runtime& runtime, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(Mapping mapping, CollectEntries(runtime, call));
  return runtime.MakeDict(std::move(mapping));
}

Result Namespace(Runtime& runtime, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(Mapping mapping, CollectEntries(runtime, call));
  return runtime.MakeObject<NamespaceObject>(std::move(mapping));
}

Result RaiseException(Runtime& runtime, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("raise_exception", call, {"message"}));
  MOESAIC_ASSIGN_OR_RETURN(const Value message, arguments.Get(0));
  MOESAIC_ASSIGN_OR_RETURN(const std::string text, ToText(runtime, message));
  runtime.MarkRaised();
  return absl::InvalidArgumentError(text);
}

Result StrftimeNow(Runtime& runtime, const CallArguments& call) {
  MOESAIC_ASSIGN_OR_RETURN(const auto arguments,
                           BoundArguments::Bind("strftime_now", call, {"format"}));
  MOESAIC_ASSIGN_OR_RETURN(const std::string format, arguments.String(0));
  if (format.size() > 1000) return absl::InvalidArgumentError("strftime_now: format is too long");
  const base::Clock* clock = runtime.options().clock;
  const absl::Time now = (clock == nullptr ? base::Clock::Real() : *clock).Now();
  return runtime.MakeString(absl::FormatTime(format, now, absl::LocalTimeZone()));
}

absl::Status Add(Runtime& runtime, Scope& scope, std::string_view name, Global function) {
  MOESAIC_ASSIGN_OR_RETURN(
      Value value,
      runtime.MakeObject<FunctionObject>([&runtime, function](const CallArguments& call) -> Result {
        return function(runtime, call);
      }));
  scope.Set(name, std::move(value));
  return absl::OkStatus();
}

}  // namespace

absl::Status AddGlobals(Runtime& runtime, Scope& scope) {
  MOESAIC_RETURN_IF_ERROR(Add(runtime, scope, "range", &Range));
  MOESAIC_RETURN_IF_ERROR(Add(runtime, scope, "dict", &Dict));
  MOESAIC_RETURN_IF_ERROR(Add(runtime, scope, "namespace", &Namespace));
  MOESAIC_RETURN_IF_ERROR(Add(runtime, scope, "raise_exception", &RaiseException));
  return Add(runtime, scope, "strftime_now", &StrftimeNow);
}

}  // namespace moesaic::model::jinja
