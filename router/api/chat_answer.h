#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "router/api/answer_format.h"

namespace moesaic::router {

/// chat.completion and chat.completion.chunk. Where answers are divided into reasoning and content,
/// reasoning_content is null for what has none, as in DeepSeek's API. Single-thread.
class ChatAnswer final : public AnswerFormat {
 public:
  explicit ChatAnswer(AnswerContext context);

  /// The first of a choice carries the role, the last an empty delta and the finish_reason.
  std::vector<Json> Chunks(const ChoiceDelta& delta) override;
  Json UsageChunk(const CallUsage& usage) const override;
  void Collect(ChoiceDelta delta) override;
  Json Whole(const CallUsage& usage) const override;

 private:
  using Logprobs = absl::Span<const TokenLogprob>;

  Json Chunk(int choice, Json delta) const;
  /// The chunk of one part of `delta`: `text`, and what the client wants to see of its tokens
  /// [begin, end), which are all reasoning or all content.
  Json PartChunk(const ChoiceDelta& delta, Json text, std::size_t begin, std::size_t end) const;
  /// The delta of content; `text` may be empty.
  Json ContentDelta(const std::string& text) const;
  Json LogprobsJson(Logprobs reasoning, Logprobs content) const;

  const AnswerContext context_;
  std::vector<bool> begun_;  // by choice, when streaming
  bool sent_prompt_token_ids_ = false;
  std::vector<ChoiceDelta> collected_;  // by choice, otherwise
};

}  // namespace moesaic::router
