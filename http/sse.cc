#include "http/sse.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/strings.h"

namespace moesaic::http {

std::string SseData(std::string_view payload) {
  MOESAIC_CHECK(payload.find_first_of("\r\n") == std::string_view::npos);
  return absl::StrCat("data: ", base::ToAbsl(payload), "\n\n");
}

std::string SseComment(std::string_view text) {
  MOESAIC_CHECK(text.find_first_of("\r\n") == std::string_view::npos);
  return absl::StrCat(": ", base::ToAbsl(text), "\n\n");
}

absl::Status SseParser::Feed(std::string_view bytes,
                             absl::FunctionRef<void(std::string_view)> on_data) {
  for (;;) {
    const std::size_t end = bytes.find('\n');
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + part.size() + data_.size() > max_event_bytes_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("a server-sent event is longer than ", max_event_bytes_, " bytes"));
    }
    line_.append(part);
    if (end == std::string_view::npos) return absl::OkStatus();
    std::string_view line = line_;
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    TakeLine(line, on_data);
    line_.clear();
    bytes.remove_prefix(end + 1);
  }
}

void SseParser::TakeLine(std::string_view line, absl::FunctionRef<void(std::string_view)> on_data) {
  if (line.empty()) {
    if (has_data_) on_data(data_);
    data_.clear();
    has_data_ = false;
    return;
  }
  constexpr std::string_view kData = "data:";
  if (line.substr(0, kData.size()) != kData) return;
  line.remove_prefix(kData.size());
  if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
  if (has_data_) data_ += '\n';
  data_ += line;
  has_data_ = true;
}

}  // namespace moesaic::http
