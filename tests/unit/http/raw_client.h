#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moesaic::http {

/// A bare TCP connection to a server on this machine, for bytes that no decent client sends.
/// Single-thread. Reads give up after ten seconds.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  /// False when the server has closed the connection.
  bool Send(std::string_view bytes);
  /// Reads until `end` has arrived or the connection is over; returns everything since the last
  /// call.
  std::string ReadUntil(std::string_view end);
  /// Reads until the connection is over.
  std::string ReadAll();
  void ShrinkReceiveBuffer();
  void Close();

 private:
  int fd_;
  std::string received_;
};

}  // namespace moesaic::http
