// What a server answers, to our client: whole and in pieces, as a body and as events.
#include <string>
#include <vector>

#include "base/check.h"
#include "http/response_parser.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using moesaic::http::ResponseParser;

constexpr std::size_t kMaxBodyBytes = 512;

struct Outcome {
  bool done = false;
  std::string body;
  std::vector<std::string> events;

  bool operator==(const Outcome&) const = default;
};

/// Feeds `bytes` in pieces of `step`.
Outcome Read(std::string_view bytes, std::size_t step, bool as_events) {
  Outcome outcome;
  const auto take = [&](std::string_view event) {
    outcome.events.emplace_back(event);
    return event != "[DONE]";
  };
  ResponseParser parser(as_events ? ResponseParser::Body::kEvents : ResponseParser::Body::kWhole,
                        kMaxBodyBytes);
  absl::Status status;
  for (std::size_t at = 0; at < bytes.size() && status.ok() && !parser.done(); at += step) {
    status = parser.Feed(bytes.substr(at, step), take);
  }
  if (status.ok() && !parser.done()) status = parser.FeedEnd();
  outcome.done = status.ok();
  if (outcome.done) {
    MOESAIC_CHECK(parser.done());
    outcome.body = parser.Take().body;
    MOESAIC_CHECK(outcome.body.size() <= kMaxBodyBytes);
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t choice = input.Byte();
  const std::string_view bytes = input.Rest();
  const bool as_events = choice % 2 == 1;
  const Outcome whole = Read(bytes, bytes.size() + 1, as_events);
  const Outcome pieces = Read(bytes, 1 + choice / 2 % 32, as_events);
  // In pieces, an answer may end before what is wrong in the whole has come.
  if (whole.done) MOESAIC_CHECK(pieces == whole);
  return 0;
}
