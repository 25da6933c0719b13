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

Json TokenListJson(const model::Tokenizer& tokenizer, absl::Span<const TokenLogprob> logprobs) {
  Json list = Json::array();
  for (const TokenLogprob& logprob : logprobs) {
    Json token = TokenJson(tokenizer, logprob.token_id, logprob.logprob);
    Json top = Json::array();
    for (const auto& [id, value] : logprob.top) top.push_back(TokenJson(tokenizer, id, value));
    token["top_logprobs"] = std::move(top);
    list.push_back(std::move(token));
  }
  return list;
}

}  // namespace

ChatAnswer::ChatAnswer(AnswerContext context)
    : context_(std::move(context)), begun_(context_.choices), collected_(context_.choices) {}

std::vector<Json> ChatAnswer::Chunks(const ChoiceDelta& delta) {
  std::vector<Json> chunks;
  if (!begun_[delta.choice]) {
    begun_[delta.choice] = true;
    Json first = {{"role", "assistant"}};
    first.update(ContentDelta(""));
    Json chunk = Chunk(delta.choice, std::move(first));
    if (context_.return_token_ids && !std::exchange(sent_prompt_token_ids_, true)) {
      chunk["prompt_token_ids"] = context_.prompt_token_ids[0];
    }
    chunks.push_back(std::move(chunk));
  }
  const bool shows_tokens =
      context_.logprobs || context_.return_token_ids || context_.stream_routed_experts;
  const auto content_begin = static_cast<std::size_t>(delta.reasoning_tokens);
  const std::size_t end = delta.token_ids.size();
  if (!delta.reasoning.empty() || (shows_tokens && content_begin > 0)) {
    chunks.push_back(PartChunk(delta, {{"reasoning_content", delta.reasoning}}, 0, content_begin));
  }
  if (!delta.text.empty() || (shows_tokens && content_begin < end)) {
    chunks.push_back(PartChunk(delta, ContentDelta(delta.text), content_begin, end));
  }
  if (delta.finish_reason) {
    Json chunk = Chunk(delta.choice, context_.reasoning ? ContentDelta("") : Json::object());
    Json& choice = chunk["choices"][0];
    AddFinish(context_, delta.finish_reason, delta.degraded_tokens, choice);
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

Json ChatAnswer::PartChunk(const ChoiceDelta& delta, Json text, std::size_t begin,
                           std::size_t end) const {
  Json chunk = Chunk(delta.choice, std::move(text));
  Json& choice = chunk["choices"][0];
  if (context_.logprobs) {
    const Logprobs tokens = Logprobs(delta.logprobs).subspan(begin, end - begin);
    const bool is_reasoning = begin < static_cast<std::size_t>(delta.reasoning_tokens);
    choice["logprobs"] = is_reasoning ? LogprobsJson(tokens, {}) : LogprobsJson({}, tokens);
  }
  if (context_.return_token_ids) {
    choice["token_ids"] = absl::MakeSpan(delta.token_ids).subspan(begin, end - begin);
  }
  if (context_.stream_routed_experts && begin < end) {
    const std::size_t width = delta.token_experts.size() / delta.token_ids.size();
    AddRoutedExperts(
        context_, absl::MakeSpan(delta.token_experts).subspan(begin * width, (end - begin) * width),
        choice);
  }
  return chunk;
}

Json ChatAnswer::ContentDelta(const std::string& text) const {
  Json delta = {{"content", text}};
  if (context_.reasoning) delta["reasoning_content"] = nullptr;
  return delta;
}

Json ChatAnswer::UsageChunk(const CallUsage& usage) const {
  Json chunk = AnswerHead(context_, "chat.completion.chunk");
  chunk["choices"] = Json::array();
  chunk["usage"] = UsageJson(usage);
  return chunk;
}

void ChatAnswer::Collect(ChoiceDelta delta) {
  ChoiceDelta& all = collected_[delta.choice];
  all.reasoned |= delta.reasoned;
  all.reasoning += delta.reasoning;
  all.text += delta.text;
  all.reasoning_tokens += delta.reasoning_tokens;
  all.token_ids.insert(all.token_ids.end(), delta.token_ids.begin(), delta.token_ids.end());
  std::move(delta.logprobs.begin(), delta.logprobs.end(), std::back_inserter(all.logprobs));
  if (!delta.finish_reason) return;
  all.finish_reason = delta.finish_reason;
  all.routed_experts = std::move(delta.routed_experts);
  all.degraded_tokens = delta.degraded_tokens;
}

Json ChatAnswer::Whole(const CallUsage& usage) const {
  Json answer = AnswerHead(context_, "chat.completion");
  Json choices = Json::array();
  for (int i = 0; i < context_.choices; ++i) {
    const ChoiceDelta& all = collected_[i];
    Json message = {{"role", "assistant"}};
    if (context_.reasoning) {
      message["reasoning_content"] = all.reasoned ? Json(all.reasoning) : Json(nullptr);
    }
    message["content"] = all.text;
    message["refusal"] = nullptr;
    Json choice = {{"index", i}, {"message", std::move(message)}, {"logprobs", nullptr}};
    AddFinish(context_, all.finish_reason, all.degraded_tokens, choice);
    if (context_.logprobs) {
      const Logprobs tokens = all.logprobs;
      choice["logprobs"] =
          LogprobsJson(tokens.first(all.reasoning_tokens), tokens.subspan(all.reasoning_tokens));
    }
    if (context_.return_token_ids) choice["token_ids"] = all.token_ids;
    AddRoutedExperts(context_, all.routed_experts, choice);
    choices.push_back(std::move(choice));
  }
  answer["choices"] = std::move(choices);
  if (context_.return_token_ids) answer["prompt_token_ids"] = context_.prompt_token_ids[0];
  answer["usage"] = UsageJson(usage);
  return answer;
}

Json ChatAnswer::LogprobsJson(Logprobs reasoning, Logprobs content) const {
  Json logprobs = {{"content", TokenListJson(*context_.tokenizer, content)}};
  if (context_.reasoning) {
    logprobs["reasoning_content"] = TokenListJson(*context_.tokenizer, reasoning);
  }
  logprobs["refusal"] = nullptr;
  return logprobs;
}

}  // namespace moesaic::router
