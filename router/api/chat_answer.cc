#include "router/api/chat_answer.h"

#include <utility>

#include "router/api/token_text.h"

namespace moesaic::router {
namespace {

Json TokenJson(const model::Tokenizer& tokenizer, std::int32_t id, float logprob) {
  const TokenText token = DescribeToken(tokenizer, id);
  Json bytes = Json::array();
  for (unsigned char byte : token.bytes) bytes.push_back(byte);
  return {{"token", token.text}, {"logprob", router::LogprobJson(logprob)}, {"bytes", bytes}};
}

}  // namespace

ChatAnswer::ChatAnswer(AnswerContext context)
    : context_(std::move(context)), begun_(context_.choices), collected_(context_.choices) {}

std::vector<Json> ChatAnswer::Chunks(const ChoiceDelta& delta) {
  std::vector<Json> chunks;
  if (!begun_[delta.choice]) {
    begun_[delta.choice] = true;
    Json chunk = Chunk(delta.choice, {{"role", "assistant"}, {"content", ""}});
    if (context_.return_token_ids && !std::exchange(sent_prompt_token_ids_, true)) {
      chunk["prompt_token_ids"] = context_.prompt_token_ids[0];
    }
    chunks.push_back(std::move(chunk));
  }
  const bool shows_tokens =
      (context_.logprobs || context_.return_token_ids) && !delta.token_ids.empty();
  if (!delta.text.empty() || shows_tokens) {
    Json chunk = Chunk(delta.choice, {{"content", delta.text}});
    Json& choice = chunk["choices"][0];
    if (context_.logprobs) choice["logprobs"] = LogprobsJson(delta.logprobs);
    if (context_.return_token_ids) choice["token_ids"] = delta.token_ids;
    chunks.push_back(std::move(chunk));
  }
  if (delta.finish_reason) {
    Json chunk = Chunk(delta.choice, Json::object());
    Json& choice = chunk["choices"][0];
    choice["finish_reason"] = FinishReasonJson(delta.finish_reason);
    AddRoutedExperts(context_, delta.routed_experts, choice);
    chunks.push_back(std::move(chunk));
  }
  return chunks;
}

Json ChatAnswer::Chunk(int choice, Json delta) const {
  Json chunk = AnswerHead(context_, "chat.completion.chunk");
  chunk["choices"] = Json::array({{{"index", choice},
                                   {"delta", std::move(delta)},
                                   {"logprobs", nullptr},
                                   {"finish_reason", nullptr}}});
  if (context_.include_usage) chunk["usage"] = nullptr;
  return chunk;
}

Json ChatAnswer::UsageChunk(const CallUsage& usage) const {
  Json chunk = AnswerHead(context_, "chat.completion.chunk");
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageJson(usage);
  return chunk;
}

void ChatAnswer::Collect(ChoiceDelta delta) {
  ChoiceDelta& all = collected_[delta.choice];
  all.text += delta.text;
  all.token_ids.insert(all.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(all.logprobs));
  if (!delta.finish_reason) return;
  all.finish_reason = delta.finish_reason;
  all.routed_experts = std::move(delta.routed_experts);
}

Json ChatAnswer::Whole(const CallUsage& usage) const {
  Json answer = AnswerHead(context_, "chat.completion");
  Json choices = Json::array();
  for (int i = 0; i < context_.choices; ++i) {
    const ChoiceDelta& all = collected_[i];
    Json choice = {
        {"index", i},
        {"message", {{"role", "assistant"}, {"content", all.text}, {"refusal", nullptr}}},
        {"logprobs", context_.logprobs ? LogprobsJson(all.logprobs) : Json(nullptr)},
        {"finish_reason", FinishReasonJson(all.finish_reason)}};
    if (context_.return_token_ids) choice["token_ids"] = all.token_ids;
    AddRoutedExperts(context_, all.routed_experts, choice);
    choices.push_back(std::move(choice));
  }
  answer["choices"] = std::move(choices);
  if (context_.return_token_ids) answer["prompt_token_ids"] = context_.prompt_token_ids[0];
  answer["usage"] = UsageJson(usage);
  return answer;
}

Json ChatAnswer::LogprobsJson(const std::vector<TokenLogprob>& logprobs) const {
  Json content = Json::array();
  for (const TokenLogprob& logprob : logprobs) {
    Json token = TokenJson(*context_.tokenizer, logprob.token_id, logprob.logprob);
    Json top = Json::array();
    for (const auto& [id, value] : logprob.top) {
      top.push_back(TokenJson(*context_.tokenizer, id, value));
    }
    token["top_logprobs"] = std::move(top);
    content.push_back(std::move(token));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

}  // namespace moesaic::router
