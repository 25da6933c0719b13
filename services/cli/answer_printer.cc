#include "services/cli/answer_printer.h"

namespace moesaic::services {
namespace {

constexpr std::string_view kFaint = "\x1b[2m";
constexpr std::string_view kNormal = "\x1b[0m";

}  // namespace

void AnswerPrinter::PrintThinking(std::string_view piece) {
  if (!options_.show_thinking) return;
  const std::size_t end = piece.find_last_not_of(" \r\n\t") + 1;
  if (end > 0) {
    if (!thinking_ && options_.dim_thinking) Write(kFaint);
    thinking_ = true;
    Write(blanks_);
    Write(piece.substr(0, end));
    blanks_.clear();
  }
  if (thinking_) blanks_ += piece.substr(end);
  std::fflush(out_);
}

void AnswerPrinter::PrintAnswer(std::string_view piece) {
  if (piece.empty()) return;
  if (thinking_) {
    EndThinking();
    Write("\n\n");
  }
  Write(piece);
  std::fflush(out_);
}

void AnswerPrinter::End() {
  if (thinking_) EndThinking();
  Write("\n");
  std::fflush(out_);
}

void AnswerPrinter::EndThinking() {
  if (options_.dim_thinking) Write(kNormal);
  thinking_ = false;
}

void AnswerPrinter::Write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), out_); }

}  // namespace moesaic::services
