#pragma once

#include <string>
#include <string_view>

#include "absl/types/span.h"
#include "http/message.h"
#include "http/url.h"

namespace moesaic::http {

/// What a client asks. Borrows everything.
struct RequestText {
  std::string_view method;
  std::string_view path;  ///< Behind the URL's prefix.
  std::string_view body;  ///< JSON, or empty.
  absl::Span<const Header> headers;
};

/// The bytes of an HTTP/1.1 request whose connection ends with its answer.
std::string FormatRequest(const Url& url, const RequestText& request);

}  // namespace moesaic::http
