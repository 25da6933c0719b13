#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace moesaic::fuzz {

/// Takes decisions and pieces of text from the bytes of a fuzzer; when they are used up, zeroes and
/// empty pieces. Borrows the bytes. Single-thread.
class FuzzInput {
 public:
  FuzzInput(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  /// Below `limit`, which is from 1 to 256.
  std::size_t Below(std::size_t limit) { return Byte() % limit; }
  std::string_view Bytes(std::size_t count) {
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(bytes.size());
    return bytes;
  }
  /// The bytes before the next `separator`, which is dropped; all that is left when there is none.
  std::string_view Until(char separator) {
    const std::size_t end = std::min(rest_.find(separator), rest_.size());
    const std::string_view bytes = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return bytes;
  }
  std::string_view Rest() { return Bytes(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace moesaic::fuzz

/// What libFuzzer, or the replay of a corpus, calls with each input.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
