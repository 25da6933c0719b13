// A stream of server-sent events: any cut into pieces gives the same events.
#include <string>
#include <vector>

#include "base/check.h"
#include "http/sse.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMaxEventBytes = 256;
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t step = 1 + input.Below(16);
  const std::string_view stream = input.Rest();

  std::vector<std::string> whole;
  moesaic::http::SseParser parser(kMaxEventBytes);
  const absl::Status fed =
      parser.Feed(stream, [&](std::string_view event) { whole.emplace_back(event); });

  std::vector<std::string> pieces;
  moesaic::http::SseParser piecewise(kMaxEventBytes);
  absl::Status status;
  for (std::size_t at = 0; at < stream.size() && status.ok(); at += step) {
    status = piecewise.Feed(stream.substr(at, step),
                            [&](std::string_view event) { pieces.emplace_back(event); });
  }
  MOESAIC_CHECK(status.ok() == fed.ok());
  MOESAIC_CHECK(pieces == whole);
  for (const std::string& event : whole) MOESAIC_CHECK(event.size() <= kMaxEventBytes);
  return 0;
}
