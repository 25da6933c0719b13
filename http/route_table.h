#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "http/exchange.h"

namespace moesaic::http {

/// Maps method and path to handlers. Filled before a server starts, then immutable.
class RouteTable {
 public:
  /// `path` is exact, or ends in "/*", which then matches one or more characters, slashes
  /// included (given to the handler as Request::path_tail). The earlier of two matches wins.
  void Add(std::string method, std::string path, Handler handler);

  /// What a lookup found: a handler, or why there is none.
  struct Match {
    const Handler* handler = nullptr;
    std::string path_tail;
    std::vector<std::string> allowed_methods;  ///< Not empty: the path exists, the method does not.
  };
  Match Find(std::string_view method, std::string_view path) const;

 private:
  struct Route {
    std::string method;
    std::string path;  // without the '*'
    bool has_tail;
    Handler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace moesaic::http
