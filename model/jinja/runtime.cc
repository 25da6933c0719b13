#include "model/jinja/runtime.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace moesaic::model::jinja {
namespace {

absl::Status CheckDepth(int depth) {
  if (depth <= kMaxContainerDepth) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("lists and dicts are nested deeper than ", kMaxContainerDepth));
}

}  // namespace

absl::Status Runtime::Step(std::size_t count) {
  if (count > options_.max_steps - steps_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("rendering takes more than ", options_.max_steps, " steps"));
  }
  steps_ += count;
  return absl::OkStatus();
}

absl::Status Runtime::StepSearch(std::size_t text, std::size_t part) {
  // A comparison goes through about 64 bytes in the time of a step; a search may compare the whole
  // part at every place, of which memcmp does many in that time.
  constexpr std::size_t kBytesPerStep = 64;
  constexpr std::size_t kComparedPerStep = 4096;
  return Step(text / kBytesPerStep + text / kComparedPerStep * part);
}

absl::Status Runtime::Charge(std::size_t bytes) {
  if (bytes > options_.max_bytes - bytes_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("rendering takes more than ", options_.max_bytes, " bytes"));
  }
  bytes_ += bytes;
  return absl::OkStatus();
}

absl::StatusOr<Value> Runtime::MakeString(std::string text) {
  MOESAIC_RETURN_IF_ERROR(Charge(text.size()));
  return Value::String(std::move(text));
}

absl::StatusOr<Value> Runtime::MakeList(std::vector<Value> items) {
  return MakeSequence(std::move(items), false);
}

absl::StatusOr<Value> Runtime::MakeTuple(std::vector<Value> items) {
  return MakeSequence(std::move(items), true);
}

absl::StatusOr<Value> Runtime::MakeSequence(std::vector<Value> items, bool is_tuple) {
  MOESAIC_RETURN_IF_ERROR(Charge(items.size() * sizeof(Value)));
  int depth = 0;
  for (const Value& item : items) depth = std::max(depth, item.depth());
  MOESAIC_RETURN_IF_ERROR(CheckDepth(depth + 1));
  return Value::FromSequence(
      std::make_shared<const Sequence>(Sequence{std::move(items), is_tuple, depth + 1}));
}

absl::StatusOr<Value> Runtime::MakeDict(Mapping mapping) {
  MOESAIC_RETURN_IF_ERROR(Charge(mapping.items.size() * 3 * sizeof(Value)));
  int depth = 0;
  for (const auto& [key, value] : mapping.items) {
    depth = std::max({depth, key.depth(), value.depth()});
  }
  MOESAIC_RETURN_IF_ERROR(CheckDepth(depth + 1));
  mapping.depth = depth + 1;
  return Value::FromMapping(std::make_shared<const Mapping>(std::move(mapping)));
}

absl::Status Runtime::Level::ok() const {
  if (runtime_.depth_ <= runtime_.options_.max_depth) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("rendering nests deeper than ", runtime_.options_.max_depth, " levels"));
}

}  // namespace moesaic::model::jinja
