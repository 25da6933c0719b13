#include "router/api/reasoning_parser.h"

#include <algorithm>
#include <utility>

#include "base/open_suffix.h"

namespace moesaic::router {
namespace {

std::size_t CountBlanks(std::string_view text) {
  return std::min(text.find_first_not_of(" \t\r\n"), text.size());
}

}  // namespace

AnswerText ReasoningParser::Push(std::string_view text) {
  AnswerText out;
  held_ += text;
  if (part_ == AnswerPart::kUndecided && !Decide()) return out;
  if (part_ == AnswerPart::kReasoning && !TakeReasoning(out)) return out;
  TakeContent(out);
  return out;
}

AnswerText ReasoningParser::Finish() {
  AnswerText out;
  (part_ == AnswerPart::kReasoning ? out.reasoning : out.content) = std::exchange(held_, {});
  return out;
}

bool ReasoningParser::Decide() {
  const std::size_t blanks = CountBlanks(held_);
  const std::string_view word = std::string_view(held_).substr(blanks);
  if (word.starts_with(kThinkOpen)) {
    reasoned_ = true;
    Enter(AnswerPart::kReasoning, blanks + kThinkOpen.size());
    return true;
  }
  if (kThinkOpen.starts_with(word)) return false;
  part_ = AnswerPart::kContent;
  return true;
}

bool ReasoningParser::TakeReasoning(AnswerText& out) {
  if (!SkipBlanks()) return false;
  const std::size_t close = held_.find(kThinkClose);
  if (close == std::string::npos) {
    const std::size_t certain = held_.size() - base::OpenSuffix(held_, kThinkClose);
    out.reasoning.assign(held_, 0, certain);
    held_.erase(0, certain);
    return false;
  }
  out.reasoning.assign(held_, 0, close);
  Enter(AnswerPart::kContent, close + kThinkClose.size());
  return true;
}

void ReasoningParser::TakeContent(AnswerText& out) {
  if (SkipBlanks()) out.content = std::exchange(held_, {});
}

bool ReasoningParser::SkipBlanks() {
  if (!skip_blanks_) return true;
  held_.erase(0, CountBlanks(held_));
  skip_blanks_ = held_.empty();
  return !skip_blanks_;
}

void ReasoningParser::Enter(AnswerPart part, std::size_t marker_end) {
  part_ = part;
  skip_blanks_ = true;
  held_.erase(0, marker_end);
}

bool LeavesThinkingOpen(std::string_view prompt) {
  const std::size_t open = prompt.rfind(kThinkOpen);
  return open != std::string_view::npos && prompt.find(kThinkClose, open) == std::string_view::npos;
}

}  // namespace moesaic::router
