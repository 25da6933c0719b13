// moesaic chat: a conversation in the terminal.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>

#include "absl/strings/str_format.h"
#include "base/clock.h"
#include "services/cli/answer_printer.h"
#include "services/cli/api_client.h"
#include "services/cli/commands.h"
#include "services/cli/interrupt_scope.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

constexpr int kExitInterrupted = 128 + SIGINT;  // as shells have it

struct ChatFlags {
  ApiFlags api;
  std::string message;  ///< Asked once instead of a conversation.
  std::string system;
  bool hide_thinking = false;
  bool stats = false;
};

/// How fast an answer came.
struct AnswerStats {
  absl::Duration asked = base::Clock::Real().Monotonic();
  std::optional<absl::Duration> first_text;
  absl::Duration last_text;
  int tokens = 0;

  void OnText() {
    last_text = base::Clock::Real().Monotonic();
    if (!first_text) first_text = last_text;
  }
  void Print() const {
    if (!first_text) return;
    const double seconds = absl::ToDoubleSeconds(last_text - *first_text);
    absl::FPrintF(stderr, "first token after %.2f s, %d tokens",
                  absl::ToDoubleSeconds(*first_text - asked), tokens);
    if (tokens > 1 && seconds > 0) absl::FPrintF(stderr, ", %.1f tokens/s", (tokens - 1) / seconds);
    absl::FPrintF(stderr, "\n");
  }
};

/// What was said so far. Of an answer only its content stays: models are not shown their earlier
/// thinking.
class Conversation {
 public:
  Conversation(std::string url, const ChatFlags& flags) : url_(std::move(url)), flags_(flags) {
    if (!flags.system.empty()) Add("system", flags.system);
  }

  /// Asks and prints the answer as it comes. A question that gets none is forgotten.
  /// Errors: Cancelled after Ctrl-C; those of StreamChunks.
  absl::Status Ask(const std::string& question) {
    Add("user", question);
    std::string content;
    const absl::Status status = StreamAnswer(content);
    const bool answered = status.ok() || (absl::IsCancelled(status) && !content.empty());
    if (answered) {
      Add("assistant", content);
    } else {
      messages_.erase(messages_.size() - 1);
    }
    return status;
  }

 private:
  void Add(const char* role, const std::string& content) {
    messages_.push_back({{"role", role}, {"content", content}});
  }

  absl::Status StreamAnswer(std::string& content) const {
    nlohmann::json body = {{"messages", messages_}};
    if (flags_.stats) body["stream_options"] = {{"include_usage", true}};
    flags_.api.AddTo(body);
    AnswerPrinter printer(stdout, {.show_thinking = !flags_.hide_thinking,
                                   .dim_thinking = ::isatty(STDOUT_FILENO) != 0});
    AnswerStats stats;
    const InterruptScope interrupt;
    const absl::Status status = StreamChunks(
        url_, "/v1/chat/completions", std::move(body),
        [&](const nlohmann::json& chunk) {
          const std::string thinking = DeltaText(chunk, "reasoning_content");
          const std::string text = DeltaText(chunk, "content");
          if (!thinking.empty() || !text.empty()) stats.OnText();
          printer.PrintThinking(thinking);
          printer.PrintAnswer(text);
          content += text;
          if (chunk.contains("usage") && chunk["usage"].is_object()) {
            stats.tokens = chunk["usage"].value("completion_tokens", 0);
          }
        },
        interrupt.fd());
    printer.End();
    if (flags_.stats && status.ok()) stats.Print();
    return status;
  }

  /// The text under `key` in the delta of a chunk's first choice, or "".
  static std::string DeltaText(const nlohmann::json& chunk, const char* key) {
    const nlohmann::json::json_pointer path(std::string("/choices/0/delta/") + key);
    if (!chunk.contains(path) || !chunk[path].is_string()) return "";
    return chunk[path].get<std::string>();
  }

  const std::string url_;
  const ChatFlags& flags_;
  nlohmann::json messages_ = nlohmann::json::array();
};

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

/// Asks, shows what went wrong, and returns the exit code this answer stands for.
int AskOnce(Conversation& conversation, const std::string& message) {
  const absl::Status status = conversation.Ask(message);
  if (status.ok()) return kExitOk;
  if (absl::IsCancelled(status)) return kExitInterrupted;
  return Fail("chat", std::string(status.message()));
}

int Chat(const ChatFlags& flags) {
  const absl::StatusOr<std::string> url = flags.api.ResolveUrl();
  if (!url.ok()) return Fail("chat", std::string(url.status().message()));
  Conversation conversation(*url, flags);
  if (!flags.message.empty()) return AskOnce(conversation, flags.message);
  int exit_code = kExitOk;
  std::string message;
  while (ReadMessage(message)) exit_code = AskOnce(conversation, message);
  return exit_code;
}

}  // namespace

void AddChatCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<ChatFlags>();
  CLI::App* command = app.add_subcommand(
      "chat", "Talk to the model; one message per line, Ctrl-C stops an answer, Ctrl-D ends");
  command->add_option("message", flags->message, "Ask this once and exit");
  command->add_option("--system", flags->system, "System message");
  command->add_flag("--hide-thinking", flags->hide_thinking,
                    "Do not show what a reasoning model thinks before it answers");
  command->add_flag("--stats", flags->stats, "Print how fast the answer came");
  flags->api.Declare(*command);
  command->callback([flags, &run] { run = [flags] { return Chat(*flags); }; });
}

}  // namespace moesaic::services
