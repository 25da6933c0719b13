#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moesaic::router {

/// Finds stop texts in text that arrives in pieces. What might be the beginning of a stop text is
/// held back until more is known; the result does not depend on how the text was cut. The match
/// that is complete first wins, of several the longest. Single-thread.
class StopMatcher {
 public:
  /// No stop text is empty.
  explicit StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// Takes more text and returns what is certain to stand before any stop text. Once a stop text is
  /// complete, matched() is true and nothing more comes out.
  std::string Push(std::string_view text);
  /// The text is over: returns what was held back.
  std::string Finish();
  bool matched() const { return matched_; }

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool matched_ = false;
};

}  // namespace moesaic::router
