#pragma once

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "base/strings.h"

namespace moesaic::base {

enum class LogLevel { kDebug = 0, kInfo = 1, kWarning = 2, kError = 3 };

/// Writes `2026-01-02T03:04:05.678Z LEVEL message` as one line to stderr. Thread-safe. Lines name
/// objects (model, shard, request id), never prompt text.
void Log(LogLevel level, std::string_view message);
/// Lines below this level are dropped. Set once at start-up.
void SetLogLevel(LogLevel level);

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
