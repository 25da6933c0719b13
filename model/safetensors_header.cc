#include "model/safetensors_header.h"

#include <array>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace moesaic::model {
namespace {

using base::DType;
using base::ToAbsl;

struct ElementType {
  std::string_view name;
  std::size_t bytes;
  std::optional<DType> dtype;
};
// Every byte-sized type of the format; those without a DType can be stored but not computed with.
constexpr ElementType kElementTypes[] = {
    {"F32", 4, DType::kF32},        {"BF16", 2, DType::kBF16}, {"F16", 2, DType::kF16},
    {"F8_E4M3", 1, DType::kF8E4M3}, {"I32", 4, DType::kI32},   {"I64", 8, DType::kI64},
    {"U8", 1, DType::kU8},          {"F64", 8, std::nullopt},  {"I8", 1, std::nullopt},
    {"I16", 2, std::nullopt},       {"U16", 2, std::nullopt},  {"U32", 4, std::nullopt},
    {"U64", 8, std::nullopt},       {"BOOL", 1, std::nullopt}, {"F8_E5M2", 1, std::nullopt},
    {"F8_E8M0", 1, std::nullopt},
};
constexpr std::string_view kMetadataKey = "__metadata__";

/// Receives the header's JSON events. A document tree of a hostile 100 MB header could need
/// gigabytes; events need only what the tensors need. Returning false stops the parser.
class HeaderHandler {
 public:
  using Json = nlohmann::json;

  std::vector<TensorInfo> TakeTensors() { return std::move(tensors_); }
  const std::string& error() const { return error_; }

  bool null() { return Unexpected("null"); }
  bool boolean(bool) { return Unexpected("a boolean"); }
  bool number_integer(Json::number_integer_t) { return Unexpected("a negative number"); }
  bool number_float(Json::number_float_t, const std::string&) {
    return Unexpected("a fraction or a number too large");
  }
  bool binary(Json::binary_t&) { return Unexpected("binary data"); }

  bool number_unsigned(Json::number_unsigned_t value) {
    if (level_ != Level::kList) return Unexpected("a number");
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return Fail(absl::StrCat(field_, ": number too large"));
    }
    if (field_ == "shape") {
      current_.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (offsets_read_ >= 2) return Fail("data_offsets: must be two numbers");
    (offsets_read_++ == 0 ? current_.begin : current_.end) = value;
    return true;
  }

  bool string(std::string& value) {
    if (level_ == Level::kMetadata) return true;
    if (level_ != Level::kTensor || field_ != "dtype") return Unexpected("a string");
    current_.dtype_name = std::move(value);
    return true;
  }

  bool start_object(std::size_t) {
    if (level_ == Level::kOutside) {
      level_ = Level::kTop;
      return true;
    }
    if (level_ != Level::kTop) return Unexpected("an object");
    level_ = current_.name == kMetadataKey ? Level::kMetadata : Level::kTensor;
    return true;
  }

  bool key(std::string& key) {
    if (level_ == Level::kTop) return StartEntry(std::move(key));
    if (level_ == Level::kMetadata) return true;
    bool& seen = key == "dtype" ? seen_dtype_ : key == "shape" ? seen_shape_ : seen_offsets_;
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return Fail(absl::StrCat("unknown key '", key, "'"));
    }
    if (std::exchange(seen, true)) return Fail(absl::StrCat(key, ": given twice"));
    field_ = std::move(key);
    return true;
  }

  bool start_array(std::size_t) {
    if (level_ != Level::kTensor || field_ == "dtype") return Unexpected("a list");
    level_ = Level::kList;
    return true;
  }

  bool end_array() {
    level_ = Level::kTensor;
    return true;
  }

  bool end_object() {
    const Level ended = std::exchange(level_, Level::kTop);
    return ended != Level::kTensor || FinishTensor();
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) {
    error_ = absl::StrCat("header is not valid JSON at byte ", position);
    return false;
  }

 private:
  enum class Level { kOutside, kTop, kMetadata, kTensor, kList };

  bool Fail(std::string_view problem) {
    error_ = current_.name.empty()
                 ? absl::StrCat("header: ", ToAbsl(problem))
                 : absl::StrCat("tensor '", current_.name, "': ", ToAbsl(problem));
    return false;
  }

  bool Unexpected(std::string_view what) {
    return Fail(field_.empty() ? absl::StrCat("unexpected ", ToAbsl(what))
                               : absl::StrCat(field_, ": unexpected ", ToAbsl(what)));
  }

  bool StartEntry(std::string name) {
    current_ = TensorInfo{};
    current_.name = std::move(name);
    field_.clear();
    seen_dtype_ = seen_shape_ = seen_offsets_ = false;
    offsets_read_ = 0;
    if (!names_.insert(current_.name).second) return Fail("given twice");
    return true;
  }

  bool FinishTensor() {
    if (!seen_dtype_) return Fail("dtype: missing");
    if (!seen_shape_) return Fail("shape: missing");
    if (offsets_read_ != 2) return Fail("data_offsets: must be two numbers");
    const ElementType* type = nullptr;
    for (const ElementType& candidate : kElementTypes) {
      if (candidate.name == current_.dtype_name) type = &candidate;
    }
    if (type == nullptr) return Fail(absl::StrCat("dtype: unknown '", current_.dtype_name, "'"));
    current_.dtype = type->dtype;
    // The product of all sizes must not wrap even when one of them is 0.
    std::uint64_t bytes = type->bytes;
    bool empty = false;
    for (const std::int64_t size : current_.shape) {
      empty |= size == 0;
      if (size != 0 && __builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) {
        return Fail("shape: too large");
      }
    }
    if (empty) bytes = 0;
    if (current_.begin > current_.end || current_.end - current_.begin != bytes) {
      return Fail(absl::StrCat("data_offsets: [", current_.begin, ", ", current_.end,
                               "] do not hold the ", bytes, " bytes of dtype and shape"));
    }
    tensors_.push_back(std::move(current_));
    current_ = TensorInfo{};
    return true;
  }

  Level level_ = Level::kOutside;
  TensorInfo current_;
  std::string field_;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
  int offsets_read_ = 0;
  std::vector<TensorInfo> tensors_;
  absl::flat_hash_set<std::string> names_;
  std::string error_;
};

}  // namespace

absl::StatusOr<std::vector<TensorInfo>> ParseSafetensorsHeader(std::string_view header,
                                                               std::string_view path) {
  HeaderHandler handler;
  // The format wants '{' first; the parser would also skip white space and a byte-order mark.
  if (!header.starts_with('{')) {
    return absl::DataLossError(absl::StrCat(ToAbsl(path), ": header does not begin with '{'"));
  }
  if (!nlohmann::json::sax_parse(header.begin(), header.end(), &handler)) {
    return absl::DataLossError(absl::StrCat(ToAbsl(path), ": ", handler.error()));
  }
  return handler.TakeTensors();
}

}  // namespace moesaic::model
