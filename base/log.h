#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/strings.h"

namespace moesaic::base {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };
/// "debug", "info", "warning", "error".
std::string_view LogLevelName(LogLevel level);
/// Inverse of LogLevelName; none for anything else.
std::optional<LogLevel> ParseLogLevel(std::string_view name);

/// A fact of a log line, for machines to find it by. Keys are ours: lower case, underscores.
struct LogField {
  std::string_view key;
  std::variant<std::string_view, std::int64_t, double, bool> value;
};

enum class LogFormat {
  kText,  ///< `2026-01-02T03:04:05.678Z INFO message key=value key="some value"`
  kJson,  ///< `{"ts":"2026-01-02T03:04:05.678Z","level":"info","process":"…","msg":"…","key":…}`
};

/// Writes one line to stderr, always valid in its format whatever bytes it is given. Warnings and
/// errors that repeat, alike but for their numbers, are written a few times and then counted
/// (log_limiter.h). Lines name objects (model, shard, request id), never prompt text. Thread-safe.
void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields = {});
/// Whether lines of this level are written, for what is costly to put together.
bool LogEnabled(LogLevel level);

/// Lines below this level are dropped. May be changed while the process runs. Thread-safe.
void SetLogLevel(LogLevel level);
LogLevel CurrentLogLevel();
/// How lines look, and what this process calls itself in them. Set once, before threads start.
void SetLogFormat(LogFormat format, std::string process);

/// The line of an event, with its newline.
std::string FormatLogLine(LogFormat format, std::string_view process, absl::Time time,
                          LogLevel level, std::string_view message,
                          absl::Span<const LogField> fields);

template <typename... Args>
void LogDebug(const Args&... args) {
  if (LogEnabled(LogLevel::kDebug)) Log(LogLevel::kDebug, absl::StrCat(args...));
}
template <typename... Args>
void LogInfo(const Args&... args) {
  Log(LogLevel::kInfo, absl::StrCat(args...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  Log(LogLevel::kWarning, absl::StrCat(args...));
}
template <typename... Args>
void LogError(const Args&... args) {
  Log(LogLevel::kError, absl::StrCat(args...));
}

}  // namespace moesaic::base
