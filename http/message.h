#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moesaic::http {

/// One header field. Names compare without case.
struct Header {
  std::string name;
  std::string value;
};

/// A request as handlers see it: the body is whole and within the server's limits. Value.
struct Request {
  std::string method;     ///< "GET", "POST", …
  std::string path;       ///< Percent-decoded, without the query.
  std::string query;      ///< What stood behind '?', as sent.
  std::string path_tail;  ///< What a route's trailing '*' matched.
  std::vector<Header> headers;
  std::string body;
  std::string peer;  ///< Address of the client, for logs.

  /// The first header of this name, or an empty view when there is none.
  std::string_view HeaderValue(std::string_view name) const;
};

/// A whole answer. Value.
struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<Header> headers = {};
  std::string body = {};
};

/// True when the names are equal but for ASCII case.
bool HeaderNamesEqual(std::string_view a, std::string_view b);

}  // namespace moesaic::http
