#pragma once

#include <cstdio>
#include <string>
#include <string_view>

namespace moesaic::services {

/// Prints one answer while it comes in: the thinking, a blank line, the answer, the end of the
/// line. Writes to a stream it does not own. Single-thread.
class AnswerPrinter {
 public:
  struct Options {
    bool show_thinking = true;
    bool dim_thinking = false;  ///< With ANSI's code for faint; for terminals.
  };
  AnswerPrinter(std::FILE* out, Options options) : out_(out), options_(options) {}

  void PrintThinking(std::string_view piece);
  void PrintAnswer(std::string_view piece);
  /// Once, however the answer ended; a terminal is then as it was before.
  void End();

 private:
  void Write(std::string_view text);
  void EndThinking();

  std::FILE* const out_;
  const Options options_;
  bool thinking_ = false;
  std::string blanks_;  // at the end of the thinking so far, which may prove to be its end
};

}  // namespace moesaic::services
