#pragma once

#include <string_view>

namespace moesaic::http {

/// Whether Beast's parser has to wait with `pending`, the bytes of a chunked body that it has not
/// taken yet. Once it has seen the line of a last chunk, "0\r\n", without what follows, it asserts
/// two more bytes: a peer that sends them one by one would end the process. More always follows,
/// whatever part of a chunked body these bytes are.
inline bool MustAwaitMore(std::string_view pending) {
  return pending.size() == 4 && pending.starts_with("0\r\n");
}

}  // namespace moesaic::http
