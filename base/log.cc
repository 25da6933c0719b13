#include "base/log.h"

#include <unistd.h>

#include <atomic>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/json_text.h"
#include "base/log_limiter.h"
#include "base/mutex.h"

namespace moesaic::base {
namespace {

constexpr const char* kNames[] = {"debug", "info", "warning", "error"};
constexpr const char* kTextNames[] = {"DEBUG", "INFO", "WARNING", "ERROR"};

/// The one stderr of the process and how it is written. Never destroyed: threads may log to the
/// end.
struct Logger {
  std::atomic<LogLevel> min_level{LogLevel::kInfo};
  LogFormat format = LogFormat::kText;
  std::string process;
  Mutex mutex;
  LogLimiter limiter ABSL_GUARDED_BY(mutex);
};

Logger& TheLogger() {
  static Logger* const logger = new Logger();
  return *logger;
}

/// One write, so that lines of several threads or processes on one stderr do not mix.
void Write(const std::string& line) {
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

void AppendJsonValue(const LogField& field, std::string& out) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) {
    AppendJsonString(*text, out);
  } else if (const auto* integer = std::get_if<std::int64_t>(&field.value)) {
    absl::StrAppend(&out, *integer);
  } else if (const auto* number = std::get_if<double>(&field.value)) {
    AppendJsonNumber(*number, out);
  } else {
    out += std::get<bool>(field.value) ? "true" : "false";
  }
}

/// A message as text: a line break in it must not look like the next line.
void AppendTextMessage(std::string_view message, std::string& out) {
  for (const char c : message) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      std::string escaped;
      AppendJsonString(std::string_view(&c, 1), escaped);
      out.append(escaped, 1, escaped.size() - 2);
    } else {
      out += c;
    }
  }
}

/// Quoted where it could not be told from what stands around it.
void AppendTextValue(const LogField& field, std::string& out) {
  const auto* text = std::get_if<std::string_view>(&field.value);
  const auto plain = [](unsigned char c) {
    return absl::ascii_isgraph(c) && c != '"' && c != '=' && c != '\\';
  };
  bool bare = text != nullptr && !text->empty();
  for (std::size_t i = 0; bare && i < text->size(); ++i) {
    bare = plain(static_cast<unsigned char>((*text)[i]));
  }
  if (bare) {
    out += *text;
  } else {
    AppendJsonValue(field, out);
  }
}

}  // namespace

std::string_view LogLevelName(LogLevel level) { return kNames[static_cast<int>(level)]; }

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (int level = 0; level < 4; ++level) {
    if (name == kNames[level]) return static_cast<LogLevel>(level);
  }
  return std::nullopt;
}

std::string FormatLogLine(LogFormat format, std::string_view process, absl::Time time,
                          LogLevel level, std::string_view message,
                          absl::Span<const LogField> fields) {
  const std::string stamp = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  std::string line;
  if (format == LogFormat::kText) {
    absl::StrAppend(&line, stamp, " ", kTextNames[static_cast<int>(level)], " ");
    AppendTextMessage(message, line);
    for (const LogField& field : fields) {
      absl::StrAppend(&line, " ", ToAbsl(field.key), "=");
      AppendTextValue(field, line);
    }
  } else {
    absl::StrAppend(&line, "{\"ts\":\"", stamp, "\",\"level\":\"", kNames[static_cast<int>(level)],
                    "\",\"process\":");
    AppendJsonString(process, line);
    line += ",\"msg\":";
    AppendJsonString(message, line);
    for (const LogField& field : fields) {
      line += ',';
      AppendJsonString(field.key, line);
      line += ':';
      AppendJsonValue(field, line);
    }
    line += '}';
  }
  line += '\n';
  return line;
}

void Log(LogLevel level, std::string_view message, absl::Span<const LogField> fields) {
  if (!LogEnabled(level)) return;
  Logger& logger = TheLogger();
  const auto write = [&](std::string_view text, absl::Span<const LogField> with) {
    Write(FormatLogLine(logger.format, logger.process, absl::Now(), level, text, with));
  };
  if (level < LogLevel::kWarning) return write(message, fields);
  bool admitted = false;
  std::vector<LogLimiter::Dropped> dropped;
  {
    MutexLock lock(logger.mutex);
    const absl::Duration now = Clock::Real().Monotonic();
    dropped = logger.limiter.TakeDropped(now);
    admitted = logger.limiter.Admit(message, now);
  }
  for (const LogLimiter::Dropped& kind : dropped) {
    write(absl::StrCat("left out ", kind.lines, " more lines like: ", kind.example), {});
  }
  if (admitted) write(message, fields);
}

bool LogEnabled(LogLevel level) {
  return level >= TheLogger().min_level.load(std::memory_order_relaxed);
}

void SetLogLevel(LogLevel level) { TheLogger().min_level.store(level, std::memory_order_relaxed); }

LogLevel CurrentLogLevel() { return TheLogger().min_level.load(std::memory_order_relaxed); }

void SetLogFormat(LogFormat format, std::string process) {
  TheLogger().format = format;
  TheLogger().process = std::move(process);
}

}  // namespace moesaic::base
