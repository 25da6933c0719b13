// Short texts from flags, headers and links: listen addresses, URLs, traceparents.
#include <string>

#include "base/check.h"
#include "http/listen_address.h"
#include "http/url.h"
#include "monitoring/trace_context.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moesaic::fuzz::FuzzInput input(data, size);
  const std::size_t choice = input.Below(3);
  const std::string text(input.Rest());
  if (choice == 0) {
    const auto address = moesaic::http::ParseListenAddress(text);
    if (address.ok()) {
      MOESAIC_CHECK(text.find(address->host) != std::string::npos);
      moesaic::http::DialableAddress(text, "127.0.0.1:1");
    }
  } else if (choice == 1) {
    const auto url = moesaic::http::ParseUrl(text);
    if (url.ok()) {
      MOESAIC_CHECK(text.starts_with("http://") && text.find(url->host) != std::string::npos);
      MOESAIC_CHECK(!url->host.empty() && std::stoi(url->port) > 0);
      MOESAIC_CHECK(url->prefix.empty() || url->prefix.front() == '/');
    }
  } else {
    const auto context = moesaic::monitoring::ParseTraceparent(text);
    if (context) {
      MOESAIC_CHECK(context->trace_id != moesaic::monitoring::TraceId());
      const std::string printed = moesaic::monitoring::FormatTraceparent(*context);
      MOESAIC_CHECK(moesaic::monitoring::ParseTraceparent(printed) == context);
      MOESAIC_CHECK(text.substr(2, 51) == printed.substr(2, 51));
    }
  }
  return 0;
}
