#include "placement/console_chat.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/strings.h"
#include "http/client.h"
#include "http/error_map.h"
#include "http/sse.h"

namespace moesaic::placement {
namespace {

constexpr std::size_t kMaxPromptBytes = 8192;
constexpr int kMaxTokens = 512;
/// Of a whole answer: 8 KiB a token, of which the experts of DeepSeek-V3's 58 layers are 2.5.
constexpr std::size_t kMaxAnswerBytes = std::size_t{8192} * kMaxTokens;
constexpr char kNoPicture[] =
    "this router does not show which experts it used: start it with --enable-return-routed-experts";

/// An eventfd that closes with its last owner.
std::shared_ptr<int> MakeInterrupt() {
  return {new int(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), [](int* fd) {
            if (*fd >= 0) ::close(*fd);
            delete fd;
          }};
}

void Interrupt(const std::shared_ptr<int>& fd) {
  const std::uint64_t one = 1;
  if (fd != nullptr) [[maybe_unused]]
    const auto written = ::write(*fd, &one, sizeof(one));
}

bool RefusesExperts(const http::Response& response) {
  return response.status == 400 && absl::StrContains(response.body, "stream_routed_experts");
}

}  // namespace

absl::StatusOr<std::string> ConsoleChat::RouterBody(std::string_view console_body,
                                                    bool with_experts) {
  const nlohmann::json asked = nlohmann::json::parse(console_body, nullptr, false);
  if (!asked.is_object() || !asked.contains("prompt") || !asked["prompt"].is_string()) {
    return absl::InvalidArgumentError("the body is no object with a prompt");
  }
  const std::string prompt = asked["prompt"].get<std::string>();
  if (prompt.empty() || prompt.size() > kMaxPromptBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the prompt is empty or longer than ", kMaxPromptBytes, " bytes"));
  }
  int max_tokens = 128;
  if (asked.contains("max_tokens")) {
    const nlohmann::json& given = asked["max_tokens"];
    if (!given.is_number_integer() || given < 1 || given > kMaxTokens) {
      return absl::InvalidArgumentError(
          absl::StrCat("max_tokens is no integer from 1 to ", kMaxTokens));
    }
    max_tokens = given.get<int>();
  }
  nlohmann::json body = {{"messages", {{{"role", "user"}, {"content", prompt}}}},
                         {"max_tokens", max_tokens},
                         {"stream", true},
                         {"return_token_ids", true},
                         {"user", "console"}};
  if (with_experts) body["stream_routed_experts"] = true;
  return body.dump();
}

ConsoleChat::~ConsoleChat() {
  std::vector<std::thread> threads;
  {
    base::MutexLock lock(mutex_);
    for (Place& place : places_) {
      Interrupt(place.interrupt);
      threads.push_back(std::move(place.thread));
    }
  }
  for (std::thread& thread : threads) {
    if (thread.joinable()) thread.join();
  }
}

void ConsoleChat::Answer(std::shared_ptr<http::Exchange> exchange, const std::string& router) {
  const auto body = RouterBody(exchange->request().body, false);
  if (!body.ok()) return exchange->Respond(http::ErrorResponse(body.status()));
  base::MutexLock lock(mutex_);
  for (Place& place : places_) {
    if (place.busy) continue;
    if (place.thread.joinable()) place.thread.join();  // it has nothing left to do
    place.busy = true;
    place.interrupt = MakeInterrupt();
    exchange->OnDisconnect([fd = place.interrupt] { Interrupt(fd); });
    place.thread = std::thread([this, &place, exchange = std::move(exchange), router,
                                interrupt = place.interrupt]() mutable {
      Run(*exchange, router, *interrupt);
      exchange.reset();
      base::MutexLock done(mutex_);
      place.busy = false;
    });
    return;
  }
  exchange->Respond(
      http::ErrorResponse(absl::ResourceExhaustedError("other prompts are being answered")));
}

void ConsoleChat::Run(http::Exchange& exchange, const std::string& router, int interrupt_fd) {
  http::ClientOptions options;
  options.interrupt_fd = interrupt_fd;
  options.max_response_bytes = kMaxAnswerBytes;
  const absl::StatusOr<http::Client> client = http::Client::Create("http://" + router, options);
  if (!client.ok()) return exchange.Respond(http::ErrorResponse(client.status()));
  bool begun = false;
  const auto pass_on = [&](std::string_view data) {
    if (!std::exchange(begun, true)) exchange.StartStream({});
    return exchange.Write(http::SseData(data));
  };
  const auto ask = [&](bool with_experts) {
    return client->PostStreaming("/v1/chat/completions",
                                 *RouterBody(exchange.request().body, with_experts), pass_on,
                                 {{"x-moesaic-tenant", "console"}});
  };
  absl::StatusOr<http::Response> response = ask(true);
  if (response.ok() && !begun && RefusesExperts(*response)) {
    begun = true;
    exchange.StartStream({});
    exchange.Write(http::SseData(nlohmann::json{{"no_picture", kNoPicture}}.dump()));
    response = ask(false);
  }
  const auto error = [&]() -> std::string {
    if (!response.ok()) return http::ErrorJson(response.status());
    return response->status == 200 ? "" : response->body;
  }();
  if (begun) {
    if (!error.empty()) exchange.Write(http::SseData(error));
    return exchange.FinishStream();
  }
  if (!response.ok()) return exchange.Respond(http::ErrorResponse(response.status()));
  exchange.Respond({.status = response->status, .headers = {}, .body = response->body});
}

}  // namespace moesaic::placement
