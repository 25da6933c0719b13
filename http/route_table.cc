#include "http/route_table.h"

#include <algorithm>
#include <utility>

namespace moesaic::http {
namespace {

/// A GET route answers HEAD too; the server leaves the body out.
bool MethodMatches(std::string_view route, std::string_view asked) {
  return route == asked || (route == "GET" && asked == "HEAD");
}

}  // namespace

void RouteTable::Add(std::string method, std::string path, Handler handler) {
  const bool has_tail = path.size() >= 2 && path.ends_with("/*");
  if (has_tail) path.pop_back();
  routes_.push_back({std::move(method), std::move(path), has_tail, std::move(handler)});
}

RouteTable::Match RouteTable::Find(std::string_view method, std::string_view path) const {
  Match match;
  for (const Route& route : routes_) {
    const bool matches = route.has_tail
                             ? path.size() > route.path.size() && path.starts_with(route.path)
                             : path == route.path;
    if (!matches) continue;
    if (MethodMatches(route.method, method)) {
      match.handler = &route.handler;
      if (route.has_tail) match.path_tail = path.substr(route.path.size());
      match.allowed_methods.clear();
      return match;
    }
    match.allowed_methods.push_back(route.method);
  }
  return match;
}

}  // namespace moesaic::http
