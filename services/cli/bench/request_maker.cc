#include "services/cli/bench/request_maker.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/cli/bench/random.h"

namespace moesaic::services {
namespace {

// Streams of random numbers: lengths and prompts do not disturb each other.
constexpr std::uint64_t kLengths = 1;
constexpr std::uint64_t kSharedPrefix = 2;
constexpr std::uint64_t kPrompts = 3;
constexpr std::uint64_t kStreams = 4;

std::string Quoted(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

RequestMaker::RequestMaker(const BenchTarget& target, Options options)
    : target_(target), options_(std::move(options)) {
  before_prompt_ =
      absl::StrCat("{\"model\":", Quoted(target.model),
                   ",\"stream\":true,\"stream_options\":{\"include_usage\":true},\"temperature\":0",
                   options_.ignore_eos ? ",\"ignore_eos\":true" : "",
                   target.chat ? ",\"messages\":[{\"role\":\"user\",\"content\":" : ",\"prompt\":");
  after_prompt_ = target.chat ? "}],\"max_tokens\":" : ",\"max_tokens\":";
}

BenchRequest RequestMaker::Make(std::uint64_t number) const {
  Random lengths(options_.seed, number * kStreams + kLengths);
  BenchRequest request;
  request.prompt_tokens = options_.prompt.Sample(lengths);
  request.output_tokens = options_.output.Sample(lengths);
  request.body =
      absl::StrCat(before_prompt_,
                   target_.form == PromptForm::kIds ? Ids(request.prompt_tokens, number)
                                                    : Text(request.prompt_tokens, number),
                   after_prompt_, request.output_tokens, "}");
  return request;
}

std::string RequestMaker::Ids(std::int64_t tokens, std::uint64_t number) const {
  Random shared(options_.seed, kSharedPrefix);
  Random own(options_.seed, number * kStreams + kPrompts);
  std::string text = "[";
  for (std::int64_t i = 0; i < tokens; ++i) {
    Random& random = i < options_.shared_prefix ? shared : own;
    absl::StrAppend(&text, i == 0 ? "" : ",", random.UniformInt(target_.first_id, target_.last_id));
  }
  text += "]";
  return text;
}

std::string RequestMaker::Text(std::int64_t tokens, std::uint64_t number) const {
  const auto words_for = [this](double wanted) {
    return static_cast<std::int64_t>(std::round(std::max(0.0, wanted) / target_.tokens_per_word));
  };
  const std::int64_t words =
      std::max<std::int64_t>(1, words_for(static_cast<double>(tokens) - target_.extra_tokens));
  const std::int64_t shared =
      std::min(words, words_for(static_cast<double>(options_.shared_prefix)));
  const std::string prefix = RandomWords(shared, Random(options_.seed, kSharedPrefix).Next());
  const std::string rest =
      RandomWords(words - shared, Random(options_.seed, number * kStreams + kPrompts).Next());
  return Quoted(absl::StrCat(prefix, prefix.empty() || rest.empty() ? "" : " ", rest));
}

}  // namespace moesaic::services
