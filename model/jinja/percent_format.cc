#include "model/jinja/percent_format.h"

#include <algorithm>
#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "model/jinja/printing.h"
#include "model/utf8.h"

namespace moesaic::model::jinja {
namespace {

constexpr std::size_t kMaxWidth = 1000;

/// One conversion: %[flags][width][.precision]type.
struct Conversion {
  bool left = false;
  bool zero = false;
  bool plus = false;
  bool space = false;
  std::size_t width = 0;
  std::optional<std::size_t> precision;
  char type = '\0';
};

std::size_t ReadNumber(std::string_view format, std::size_t& at) {
  std::size_t number = 0;
  for (; at < format.size() && format[at] >= '0' && format[at] <= '9'; ++at) {
    number = std::min(number * 10 + static_cast<std::size_t>(format[at] - '0'), kMaxWidth);
  }
  return number;
}

absl::StatusOr<Conversion> ReadConversion(std::string_view format, std::size_t& at) {
  Conversion conversion;
  for (; at < format.size(); ++at) {
    const char c = format[at];
    if (c == '-') {
      conversion.left = true;
    } else if (c == '0') {
      conversion.zero = true;
    } else if (c == '+') {
      conversion.plus = true;
    } else if (c == ' ') {
      conversion.space = true;
    } else {
      break;
    }
  }
  conversion.width = ReadNumber(format, at);
  if (at < format.size() && format[at] == '.') {
    ++at;
    conversion.precision = ReadNumber(format, at);
  }
  if (at == format.size()) return absl::InvalidArgumentError("incomplete format");
  conversion.type = format[at++];
  return conversion;
}

absl::StatusOr<std::string> Number(const Conversion& conversion, const Value& value) {
  if (!value.is_number()) {
    return absl::InvalidArgumentError(
        absl::StrCat("%", std::string(1, conversion.type), " format: a number is required"));
  }
  std::string text;
  if (conversion.type == 'f') {
    text = absl::StrFormat("%.*f", static_cast<int>(conversion.precision.value_or(6)),
                           value.AsFloat());
  } else {
    if (!value.is_integral() && !(value.AsFloat() > -9.2e18 && value.AsFloat() < 9.2e18)) {
      return absl::InvalidArgumentError("number is out of range");
    }
    const std::int64_t number =
        value.is_integral() ? value.AsInt() : static_cast<std::int64_t>(value.AsFloat());
    text = conversion.type == 'x' ? absl::StrFormat("%x", number) : absl::StrCat(number);
  }
  if (text[0] != '-' && conversion.plus) return "+" + text;
  if (text[0] != '-' && conversion.space) return " " + text;
  return text;
}

std::string Pad(const Conversion& conversion, bool is_number, std::string text) {
  const std::size_t length = CountChars(text);
  if (length >= conversion.width) return text;
  const std::size_t fill = conversion.width - length;
  if (conversion.left) return text.append(fill, ' ');
  if (!conversion.zero || !is_number) return std::string(fill, ' ') + text;
  const bool has_sign = text[0] == '-' || text[0] == '+' || text[0] == ' ';
  return text.insert(has_sign ? 1 : 0, fill, '0');
}

absl::StatusOr<std::string> Convert(Runtime& runtime, const Conversion& conversion,
                                    const Value& value) {
  if (conversion.type == 's' || conversion.type == 'r') {
    MOESAIC_ASSIGN_OR_RETURN(
        std::string text, conversion.type == 's' ? ToText(runtime, value) : ToRepr(runtime, value));
    if (conversion.precision) {
      std::size_t end = 0;
      for (std::size_t n = 0; n < *conversion.precision && end < text.size(); ++n) {
        NextChar(text, end);
      }
      text.resize(end);
    }
    return Pad(conversion, false, std::move(text));
  }
  if (conversion.type != 'd' && conversion.type != 'i' && conversion.type != 'f' &&
      conversion.type != 'x') {
    return absl::InvalidArgumentError("unsupported format character");
  }
  MOESAIC_ASSIGN_OR_RETURN(std::string text, Number(conversion, value));
  return Pad(conversion, true, std::move(text));
}

}  // namespace

absl::StatusOr<std::string> FormatPercent(Runtime& runtime, std::string_view format,
                                          const std::vector<Value>& arguments) {
  std::string out;
  std::size_t used = 0;
  for (std::size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out.push_back(format[at++]);
      continue;
    }
    ++at;
    MOESAIC_ASSIGN_OR_RETURN(const Conversion conversion, ReadConversion(format, at));
    if (conversion.type == '%') {
      out.push_back('%');
      continue;
    }
    if (used == arguments.size()) {
      return absl::InvalidArgumentError("not enough arguments for format string");
    }
    MOESAIC_ASSIGN_OR_RETURN(const std::string text,
                             Convert(runtime, conversion, arguments[used++]));
    MOESAIC_RETURN_IF_ERROR(runtime.Charge(text.size()));
    out.append(text);
  }
  if (used < arguments.size()) {
    return absl::InvalidArgumentError("not all arguments converted during string formatting");
  }
  MOESAIC_RETURN_IF_ERROR(runtime.Charge(out.size()));
  return out;
}

}  // namespace moesaic::model::jinja
