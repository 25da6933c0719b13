#include "http/message.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace moesaic::http {

bool HeaderNamesEqual(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return absl::ascii_tolower(static_cast<unsigned char>(x)) ==
           absl::ascii_tolower(static_cast<unsigned char>(y));
  });
}

std::string_view Request::HeaderValue(std::string_view name) const {
  for (const Header& header : headers) {
    if (HeaderNamesEqual(header.name, name)) return header.value;
  }
  return {};
}

}  // namespace moesaic::http
