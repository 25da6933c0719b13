#include "router/api/fields.h"

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/error_map.h"

namespace moesaic::router {
namespace {

absl::Status Must(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("must be ", what));
}

}  // namespace

absl::Status NameField(const absl::Status& error, std::string_view field) {
  if (!http::ParamOf(error).empty()) return error;
  absl::Status named(error.code(), absl::StrCat("'", base::ToAbsl(field), "' ", error.message()));
  error.ForEachPayload([&named](absl::string_view url, const absl::Cord& payload) {
    named.SetPayload(url, payload);
  });
  return http::WithParam(std::move(named), field);
}

absl::Status ReadBool(const Json& value, bool& out) {
  if (!value.is_boolean()) return Must("true or false");
  out = value.get<bool>();
  return absl::OkStatus();
}

absl::Status ReadString(const Json& value, std::string& out) {
  if (!value.is_string()) return Must("a string");
  out = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadInteger(const Json& value, std::int64_t min, std::int64_t max, std::int64_t& out) {
  const absl::Status bad = Must(absl::StrCat("a whole number between ", min, " and ", max));
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() >
          static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return bad;
  }
  if (value.is_number_integer()) {
    out = value.get<std::int64_t>();
  } else if (value.is_number_float()) {
    const double number = value.get<double>();
    // Beyond 2^53 a double no longer says which whole number was meant.
    if (std::trunc(number) != number || std::fabs(number) > 0x1p53) return bad;
    out = static_cast<std::int64_t>(number);
  } else {
    return bad;
  }
  return out >= min && out <= max ? absl::OkStatus() : bad;
}

absl::Status ReadFloat(const Json& value, float min, float max, float& out) {
  const double number = value.is_number() ? value.get<double>() : NAN;
  if (!(number >= min && number <= max)) {
    return Must(absl::StrCat("a number between ", min, " and ", max));
  }
  out = static_cast<float>(number);
  return absl::OkStatus();
}

absl::Status ReadTokenIds(const Json& value, std::size_t max_items,
                          std::vector<std::int32_t>& out) {
  if (!value.is_array() || value.size() > max_items) {
    return Must(absl::StrCat("a list of at most ", max_items, " token ids"));
  }
  out.reserve(value.size());
  for (const Json& item : value) {
    std::int64_t id = 0;
    if (!ReadInteger(item, 0, std::numeric_limits<std::int32_t>::max(), id).ok()) {
      return Must("a list of token ids");
    }
    out.push_back(static_cast<std::int32_t>(id));
  }
  return absl::OkStatus();
}

absl::Status Unsupported() {
  return http::WithErrorCode(absl::InvalidArgumentError("is not supported by this server"),
                             "unsupported_parameter");
}

absl::Status UnsupportedUnlessNeutral(const Json& value) {
  const bool neutral = (value.is_boolean() && !value.get<bool>()) ||
                       (value.is_number() && value.get<double>() == 0) ||
                       (value.is_string() && (value == "" || value == "none")) ||
                       ((value.is_array() || value.is_object()) && value.empty());
  return neutral ? absl::OkStatus() : Unsupported();
}

}  // namespace moesaic::router
