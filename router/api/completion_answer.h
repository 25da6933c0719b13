#pragma once

#include <string>
#include <vector>

#include "router/api/answer_format.h"

namespace moesaic::router {

/// text_completion, whole and in chunks. Single-thread.
class CompletionAnswer final : public AnswerFormat {
 public:
  /// `echo`: the text of each prompt, put in front of its choices; empty = no echo.
  CompletionAnswer(AnswerContext context, std::vector<std::string> echo);

  std::vector<Json> Chunks(const ChoiceDelta& delta) override;
  Json UsageChunk(const CallUsage& usage) const override;
  void Collect(ChoiceDelta delta) override;
  Json Whole(const CallUsage& usage) const override;

 private:
  /// The four parallel lists of the completions API.
  struct Logprobs {
    Json tokens = Json::array();
    Json token_logprobs = Json::array();
    Json top_logprobs = Json::array();
    Json text_offset = Json::array();
  };
  struct Choice {
    bool begun = false;
    std::size_t offset_chars = 0;  // in the text returned, where the next token begins
    std::string text;
    std::vector<std::int32_t> token_ids;
    Logprobs logprobs;
    std::optional<FinishReason> finish_reason;
    std::vector<std::int32_t> routed_experts;  // of the tokens above, when streamed
    int degraded_tokens = 0;
  };

  int PromptOf(int choice) const { return choice / context_.choices_per_prompt; }
  /// Takes `delta` into `choice`, the echo first.
  void Add(const ChoiceDelta& delta, Choice& choice);
  void AddEcho(const ChoiceDelta& delta, Choice& choice) const;
  void AddToken(std::int32_t id, const TokenLogprob* logprob, Choice& choice) const;
  Json ChoiceJson(int index, const Choice& choice) const;

  const AnswerContext context_;
  const std::vector<std::string> echo_;
  std::vector<Choice> choices_;
};

}  // namespace moesaic::router
