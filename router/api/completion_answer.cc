#include "router/api/completion_answer.h"

#include <utility>

#include "model/utf8.h"
#include "router/api/token_text.h"

namespace moesaic::router {

CompletionAnswer::CompletionAnswer(AnswerContext context, std::vector<std::string> echo)
    : context_(std::move(context)), echo_(std::move(echo)), choices_(context_.choices) {}

std::vector<Json> CompletionAnswer::Chunks(const ChoiceDelta& delta) {
  Choice& progress = choices_[delta.choice];
  const bool first = !progress.begun;
  Add(delta, progress);
  const bool shows_tokens = (context_.logprobs && !progress.logprobs.tokens.empty()) ||
                            !progress.routed_experts.empty() ||
                            (context_.return_token_ids && (first || !progress.token_ids.empty()));
  if (progress.text.empty() && !shows_tokens && !progress.finish_reason) return {};
  Json chunk = AnswerHead(context_, "text_completion");
  Json choice = ChoiceJson(delta.choice, progress);
  if (context_.return_token_ids && !first) choice.erase("prompt_token_ids");
  chunk["choices"] = Json::array({std::move(choice)});
  if (context_.include_usage) chunk["usage"] = nullptr;
  // What was sent is not sent again; only the place in the text goes on.
  const std::size_t offset_chars = progress.offset_chars;
  progress = Choice();
  progress.begun = true;
  progress.offset_chars = offset_chars;
  return {std::move(chunk)};
}

Json CompletionAnswer::UsageChunk(const CallUsage& usage) const {
  Json chunk = AnswerHead(context_, "text_completion");
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageJson(usage);
  return chunk;
}

void CompletionAnswer::Collect(ChoiceDelta delta) { Add(delta, choices_[delta.choice]); }

Json CompletionAnswer::Whole(const CallUsage& usage) const {
  Json answer = AnswerHead(context_, "text_completion");
  Json choices = Json::array();
  for (int i = 0; i < context_.choices; ++i) choices.push_back(ChoiceJson(i, choices_[i]));
  answer["choices"] = std::move(choices);
  answer["usage"] = UsageJson(usage);
  return answer;
}

void CompletionAnswer::Add(const ChoiceDelta& delta, Choice& choice) {
  if (!std::exchange(choice.begun, true)) AddEcho(delta, choice);
  choice.text += delta.text;
  choice.token_ids.insert(choice.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  if (context_.logprobs) {
    for (const TokenLogprob& logprob : delta.logprobs) {
      AddToken(logprob.token_id, &logprob, choice);
    }
  }
  choice.routed_experts.insert(choice.routed_experts.end(), delta.token_experts.begin(),
                               delta.token_experts.end());
  if (!delta.finish_reason) return;
  choice.finish_reason = delta.finish_reason;
  if (!context_.stream_routed_experts) choice.routed_experts = delta.routed_experts;
  choice.degraded_tokens = delta.degraded_tokens;
}

void CompletionAnswer::AddEcho(const ChoiceDelta& delta, Choice& choice) const {
  if (echo_.empty()) return;
  const int prompt = PromptOf(delta.choice);
  choice.text += echo_[prompt];
  if (!context_.logprobs) return;
  const std::vector<std::int32_t>& ids = context_.prompt_token_ids[prompt];
  for (std::size_t i = 0; i < ids.size(); ++i) {
    // Entry i of the prompt's log-probabilities is about token i + 1; nothing precedes the first.
    const bool known = i > 0 && i - 1 < delta.prompt_logprobs.size();
    AddToken(ids[i], known ? &delta.prompt_logprobs[i - 1] : nullptr, choice);
  }
}

void CompletionAnswer::AddToken(std::int32_t id, const TokenLogprob* logprob,
                                Choice& choice) const {
  const TokenText token = DescribeToken(*context_.tokenizer, id);
  Logprobs& lists = choice.logprobs;
  lists.tokens.push_back(SpellToken(token));
  lists.text_offset.push_back(choice.offset_chars);
  choice.offset_chars += model::CountChars(token.text);
  if (logprob == nullptr) {
    lists.token_logprobs.push_back(nullptr);
    lists.top_logprobs.push_back(nullptr);
    return;
  }
  lists.token_logprobs.push_back(LogprobJson(logprob->logprob));
  Json top = Json::object();
  for (const auto& [top_id, value] : logprob->top) {
    // Most likely first: of two tokens that are spelled alike the likelier one stays.
    top.emplace(SpellToken(DescribeToken(*context_.tokenizer, top_id)), LogprobJson(value));
  }
  top.emplace(SpellToken(token), LogprobJson(logprob->logprob));
  lists.top_logprobs.push_back(std::move(top));
}

Json CompletionAnswer::ChoiceJson(int index, const Choice& choice) const {
  Json json = {{"index", index}, {"text", choice.text}, {"logprobs", nullptr}};
  AddFinish(context_, choice.finish_reason, choice.degraded_tokens, json);
  if (context_.logprobs) {
    json["logprobs"] = {{"tokens", choice.logprobs.tokens},
                        {"token_logprobs", choice.logprobs.token_logprobs},
                        {"top_logprobs", choice.logprobs.top_logprobs},
                        {"text_offset", choice.logprobs.text_offset}};
  }
  if (context_.return_token_ids) {
    json["prompt_token_ids"] = context_.prompt_token_ids[PromptOf(index)];
    json["token_ids"] = choice.token_ids;
  }
  AddRoutedExperts(context_, choice.routed_experts, json);
  return json;
}

}  // namespace moesaic::router
