// moesaic chat: a conversation in the terminal.

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>

#include "services/cli/api_client.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct ChatFlags {
  ApiFlags api;
  std::string message;  ///< Asked once instead of a conversation.
  std::string system;
};

/// Asks with the whole conversation, prints the answer as it comes and returns it.
absl::StatusOr<std::string> Ask(const std::string& url, const ChatFlags& flags,
                                const nlohmann::json& messages) {
  nlohmann::json body = {{"messages", messages}};
  flags.api.AddTo(body);
  std::string answer;
  const absl::Status status =
      StreamChunks(url, "/v1/chat/completions", std::move(body), [&](const nlohmann::json& chunk) {
        if (!chunk.contains("choices") || chunk["choices"].empty()) return;
        const nlohmann::json& delta = chunk["choices"][0].value("delta", nlohmann::json::object());
        if (!delta.contains("content") || !delta["content"].is_string()) return;
        const std::string piece = delta["content"].get<std::string>();
        std::fputs(piece.c_str(), stdout);
        std::fflush(stdout);
        answer += piece;
      });
  std::fputs("\n", stdout);
  if (!status.ok()) return status;
  return answer;
}

/// Reads the next line that is not empty; false at the end of the input.
bool ReadMessage(std::string& line) {
  const bool terminal = ::isatty(STDIN_FILENO) != 0;
  do {
    if (terminal) std::fputs("> ", stdout);
    std::fflush(stdout);
    if (!std::getline(std::cin, line)) return false;
  } while (line.empty());
  return true;
}

int Chat(const ChatFlags& flags) {
  const absl::StatusOr<std::string> url = flags.api.ResolveUrl();
  if (!url.ok()) return Fail("chat", std::string(url.status().message()));
  nlohmann::json messages = nlohmann::json::array();
  if (!flags.system.empty()) messages.push_back({{"role", "system"}, {"content", flags.system}});
  const bool once = !flags.message.empty();
  std::string message = flags.message;
  while (once || ReadMessage(message)) {
    messages.push_back({{"role", "user"}, {"content", message}});
    const absl::StatusOr<std::string> answer = Ask(*url, flags, messages);
    if (!answer.ok()) return Fail("chat", std::string(answer.status().message()));
    if (once) break;
    messages.push_back({{"role", "assistant"}, {"content", *answer}});
  }
  return kExitOk;
}

}  // namespace

void AddChatCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command =
      app.add_subcommand("chat", "Talk to the model; one message per line, Ctrl-D ends");
  command->add_option("message", flags->message, "Ask this once and exit");
  command->add_option("--system", flags->system, "System message");
  flags->api.Declare(*command);
  command->callback([flags, &run] { run = [flags] { return Chat(*flags); }; });
}

}  // namespace moesaic::services
