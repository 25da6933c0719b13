#pragma once

#include <vector>

#include "router/api/answer_format.h"

namespace moesaic::router {

/// chat.completion and chat.completion.chunk. Single-thread.
class ChatAnswer final : public AnswerFormat {
 public:
  explicit ChatAnswer(AnswerContext context);

  /// The first of a choice carries the role, the last an empty delta and the finish_reason.
  std::vector<Json> Chunks(const ChoiceDelta& delta) override;
  Json UsageChunk(const CallUsage& usage) const override;
  void Collect(ChoiceDelta delta) override;
  Json Whole(const CallUsage& usage) const override;

 private:
  Json Chunk(int choice, Json delta) const;
  Json LogprobsJson(const std::vector<TokenLogprob>& logprobs) const;

  const AnswerContext context_;
  std::vector<bool> begun_;  // by choice, when streaming
  bool sent_prompt_token_ids_ = false;
  std::vector<ChoiceDelta> collected_;  // by choice, otherwise
};

}  // namespace moesaic::router
