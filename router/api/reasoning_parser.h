#pragma once

#include <string>
#include <string_view>

namespace moesaic::router {

/// What reasoning models write around their thinking.
inline constexpr std::string_view kThinkOpen = "<think>";
inline constexpr std::string_view kThinkClose = "</think>";

/// Where in an answer a place lies.
enum class AnswerPart {
  kUndecided,  ///< Only blanks, and what may become <think>, have come so far.
  kReasoning,
  kContent,
};

/// Text of an answer, divided.
struct AnswerText {
  std::string reasoning;
  std::string content;
};

/// Divides the text of one answer into the thinking that may come first and the content behind it,
/// as the text arrives. What may become a marker is held back; the result does not depend on how
/// the text was cut. Markers, and the blanks that follow them, are part of neither.
/// Single-thread.
class ReasoningParser {
 public:
  /// `start`: kReasoning when the prompt has opened the thinking, kUndecided when the answer may
  /// do so as its first word, kContent to pass all text through.
  explicit ReasoningParser(AnswerPart start)
      : part_(start),
        reasoned_(start == AnswerPart::kReasoning),
        skip_blanks_(start == AnswerPart::kReasoning) {}

  /// Takes more text and returns what is certain.
  AnswerText Push(std::string_view text);
  /// The text is over: returns what was held back.
  AnswerText Finish();

  /// Where the next text belongs, as far as it is known.
  AnswerPart part() const { return part_; }
  /// The thinking was opened.
  bool reasoned() const { return reasoned_; }

 private:
  /// Each takes what it can from the front of held_; false when that is all for now.
  bool Decide();
  bool TakeReasoning(AnswerText& out);
  void TakeContent(AnswerText& out);
  /// Drops the blanks behind a marker; false while nothing else has come.
  bool SkipBlanks();
  void Enter(AnswerPart part, std::size_t marker_end);

  AnswerPart part_;
  bool reasoned_;
  bool skip_blanks_;
  std::string held_;
};

/// Whether the last <think> of a rendered prompt is still open at its end.
bool LeavesThinkingOpen(std::string_view prompt);

}  // namespace moesaic::router
