#include "http/request_text.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::http {

std::string FormatRequest(const Url& url, const RequestText& request) {
  // RFC 3986 puts an IPv6 address into brackets.
  const bool brackets = absl::StrContains(url.host, ":");
  std::string text =
      absl::StrCat(base::ToAbsl(request.method), " ", url.prefix, base::ToAbsl(request.path),
                   " HTTP/1.1\r\nhost: ", brackets ? "[" : "", url.host, brackets ? "]" : "", ":",
                   url.port, "\r\nconnection: close\r\ncontent-length: ");
  absl::StrAppend(&text, request.body.size(), "\r\n");
  if (!request.body.empty()) text += "content-type: application/json\r\n";
  for (const Header& header : request.headers) {
    absl::StrAppend(&text, header.name, ": ", header.value, "\r\n");
  }
  text += "\r\n";
  text += request.body;
  return text;
}

}  // namespace moesaic::http
