#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "http/route_table.h"

namespace moesaic::http {

/// Files served as they are, read whole when they are added: a request is looked up by name in a
/// table, so whatever it asks for, no other file can be reached. Built before a server starts, then
/// immutable.
class StaticFiles {
 public:
  /// Adds the regular files of `directory`, without its subfolders, under their names.
  /// Errors: those of reading, naming the path; ResourceExhausted beyond 16 MiB in all.
  absl::Status AddDirectory(const std::string& directory);
  /// Adds one file as `name`.
  absl::Status AddFile(const std::string& name, const std::string& path);

  /// GET `prefix`/NAME, and index.html as `prefix` and `prefix`/. Answers carry `headers`, a type
  /// by the name's ending, and an ETag: a browser asks again each time, and gets a 304 if it has
  /// it.
  void Serve(const std::string& prefix, std::vector<Header> headers, RouteTable& routes) const;

 private:
  struct File {
    std::string content_type;
    std::string etag;
    std::string body;
  };
  std::map<std::string, File> files_;
  std::size_t bytes_ = 0;
};

}  // namespace moesaic::http
