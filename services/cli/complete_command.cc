// moesaic complete PROMPT: continues a text.

#include <cstdio>
#include <memory>

#include "services/cli/api_client.h"
#include "services/cli/commands.h"
#include "services/process.h"

namespace moesaic::services {
namespace {

struct CompleteFlags {
  ApiFlags api;
  std::string prompt;
  bool echo = false;
};

int Complete(const CompleteFlags& flags) {
  const absl::StatusOr<std::string> url = flags.api.ResolveUrl();
  if (!url.ok()) return Fail("complete", std::string(url.status().message()));
  nlohmann::json body = {{"prompt", flags.prompt}, {"echo", flags.echo}};
  flags.api.AddTo(body);
  const absl::Status status =
      StreamChunks(*url, "/v1/completions", std::move(body), [](const nlohmann::json& chunk) {
        if (!chunk.contains("choices") || chunk["choices"].empty()) return;
        std::fputs(chunk["choices"][0].value("text", "").c_str(), stdout);
        std::fflush(stdout);
      });
  std::fputs("\n", stdout);
  return status.ok() ? kExitOk : Fail("complete", std::string(status.message()));
}

}  // namespace

void AddCompleteCommand(CLI::App& app, Command& run) {
  auto flags = std::make_shared<CompleteFlags>();
  CLI::App* command = app.add_subcommand("complete", "Continue a text with the model");
  command->add_option("prompt", flags->prompt, "Text to continue")->required();
  command->add_flag("--echo", flags->echo, "Print the prompt too");
  flags->api.Declare(*command);
  command->callback([flags, &run] { run = [flags] { return Complete(*flags); }; });
}

}  // namespace moesaic::services
