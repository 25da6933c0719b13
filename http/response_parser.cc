#include "http/response_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "http/growing_body.h"
#include "http/last_chunk.h"
#include "http/sse.h"

namespace moesaic::http {
namespace {

namespace bhttp = boost::beast::http;
using boost::system::error_code;

constexpr std::size_t kMaxHeaderBytes = 64 << 10;
// Bytes that wait for more before they can be parsed: a header, or the line of a chunk's size, to
// which Beast has no limit of its own.
constexpr std::size_t kMaxPendingBytes = 2 * kMaxHeaderBytes;

}  // namespace

struct ResponseParser::State {
  Body body;
  std::size_t max_body_bytes;
  bhttp::response_parser<GrowingBody> parser;
  SseParser events;
  std::string pending;
  std::size_t header_bytes = 0;  // taken by the parser, while there is no end of it
  bool stopped = false;

  bool done() const { return stopped || parser.is_done(); }

  absl::Status Malformed(const error_code& error) const {
    if (error == bhttp::error::body_limit) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the answer is longer than ", max_body_bytes, " bytes"));
    }
    if (error == bhttp::error::partial_message || error == bhttp::error::end_of_stream) {
      return absl::UnavailableError("the server closed the connection before the answer's end");
    }
    return absl::DataLossError(absl::StrCat("not an HTTP answer: ", error.message()));
  }

  absl::Status DeliverEvents(OnEvent on_event) {
    if (body != Body::kEvents || !parser.is_header_done()) return absl::OkStatus();
    std::string& content = parser.get().body();
    const auto type = parser.get()[bhttp::field::content_type];
    if (!absl::StartsWith(absl::string_view(type.data(), type.size()), "text/event-stream")) {
      if (content.size() <= max_body_bytes) return absl::OkStatus();
      return Malformed(make_error_code(bhttp::error::body_limit));
    }
    absl::Status fed = events.Feed(content, [&](std::string_view data) {
      if (!stopped && !on_event(data)) stopped = true;
    });
    content.clear();
    return fed;
  }
};

ResponseParser::ResponseParser(Body body, std::size_t max_body_bytes)
    : state_(std::make_unique<State>()) {
  state_->body = body;
  state_->max_body_bytes = max_body_bytes;
  state_->parser.eager(true);
  state_->parser.header_limit(kMaxHeaderBytes);
  // The pieces of an event stream are taken out at once; what is kept is checked there.
  if (body == Body::kEvents) {
    state_->parser.body_limit(boost::none);
  } else {
    state_->parser.body_limit(max_body_bytes);
  }
}

ResponseParser::~ResponseParser() = default;

absl::Status ResponseParser::Feed(std::string_view bytes, OnEvent on_event) {
  State& state = *state_;
  state.pending.append(bytes);
  while (!state.pending.empty() && !state.done()) {
    const bool chunked = state.parser.is_header_done() && state.parser.chunked();
    if (chunked && MustAwaitMore(state.pending)) break;
    error_code error;
    const std::size_t used = state.parser.put(boost::asio::buffer(state.pending), error);
    state.pending.erase(0, used);
    // Beast's own limit is for each piece in which a header comes, not for all of it.
    if (!state.parser.is_header_done() &&
        (state.header_bytes += used) + state.pending.size() > kMaxHeaderBytes) {
      return absl::DataLossError(absl::StrCat("not an HTTP answer: its header is longer than ",
                                              kMaxHeaderBytes, " bytes"));
    }
    if (error && error != bhttp::error::need_more) return state.Malformed(error);
    MOESAIC_RETURN_IF_ERROR(state.DeliverEvents(on_event));
    if (error || used == 0) break;
  }
  if (state.pending.size() > kMaxPendingBytes && !state.done()) {
    return absl::DataLossError("not an HTTP answer: a line without end");
  }
  return absl::OkStatus();
}

absl::Status ResponseParser::FeedEnd() {
  // put_eof requires a begun answer.
  if (!state_->parser.got_some()) {
    return absl::UnavailableError("the server closed the connection");
  }
  error_code error;
  state_->parser.put_eof(error);
  if (error) return state_->Malformed(error);
  if (!state_->parser.is_done()) return absl::UnavailableError("the server closed the connection");
  return absl::OkStatus();
}

bool ResponseParser::done() const { return state_->done(); }

Response ResponseParser::Take() {
  Response response;
  auto message = state_->parser.release();
  response.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    response.headers.push_back({std::string(field.name_string()), std::string(field.value())});
  }
  response.content_type = std::string(message[bhttp::field::content_type]);
  response.body = std::move(message.body());
  return response;
}

}  // namespace moesaic::http
