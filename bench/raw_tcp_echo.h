#pragma once

#include <cstddef>
#include <vector>

namespace moesaic::bench {

/// A listening loopback socket. Returns the descriptor and stores the port. Ends the process when
/// that is impossible, as everything here does: a benchmark has nobody to report to.
int ListenOnLoopback(int* port);
/// A connection with TCP_NODELAY.
int ConnectToLoopback(int port);

/// Serves connections of `listener` one after the other, for ever: reads the message size as 8
/// bytes once, then echoes messages of that size. Spins while messages come, and blocks when none
/// has come for a few milliseconds, to leave the core to whoever is measured next.
[[noreturn]] void ServeRawEcho(int listener);

/// The client's end: the floor of what a round trip can cost. Spins, reuses its buffers, copies
/// nothing.
class RawEchoClient {
 public:
  /// Messages of `bytes` bytes each way.
  RawEchoClient(int port, std::size_t bytes);
  ~RawEchoClient();
  RawEchoClient(const RawEchoClient&) = delete;
  RawEchoClient& operator=(const RawEchoClient&) = delete;

  /// One round trip.
  void RoundTrip();
  /// `count` round trips with `in_flight` messages under way.
  void Pipeline(int count, int in_flight);

 private:
  const int socket_;
  const std::size_t bytes_;
  std::vector<char> out_;
  std::vector<char> in_;
};

}  // namespace moesaic::bench
