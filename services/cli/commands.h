#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace moesaic::services {

/// Each adds its subcommand to `app` and sets `run` to what it does when chosen; `run` returns the
/// exit code. What a subcommand parses lives as long as `run`.
using Command = std::function<int()>;
void AddUpCommand(CLI::App& app, Command& run);
void AddStatusCommand(CLI::App& app, Command& run);
void AddTopCommand(CLI::App& app, Command& run);
void AddDrainCommand(CLI::App& app, Command& run);
void AddRebalanceCommand(CLI::App& app, Command& run);
void AddScaleCommand(CLI::App& app, Command& run);
void AddUsageCommand(CLI::App& app, Command& run);
void AddInspectCommand(CLI::App& app, Command& run);
void AddChatCommand(CLI::App& app, Command& run);
void AddCompleteCommand(CLI::App& app, Command& run);
void AddLogLevelCommand(CLI::App& app, Command& run);
void AddRequestsCommand(CLI::App& app, Command& run);
void AddTraceCommand(CLI::App& app, Command& run);
void AddBenchCommand(CLI::App& app, Command& run);

/// Prints "moesaic COMMAND: message" to stderr and returns kExitFailure.
int Fail(const char* command, const std::string& message);

}  // namespace moesaic::services
