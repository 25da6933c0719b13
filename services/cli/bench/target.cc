#include "services/cli/bench/target.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "services/cli/api_client.h"
#include "services/cli/bench/random.h"

namespace moesaic::services {
namespace {

using Json = nlohmann::json;

// A token each in most vocabularies.
constexpr std::array<std::string_view, 64> kWords = {
    "time",     "year",    "people",   "way",    "day",        "man",    "thing",   "woman",
    "life",     "child",   "world",    "school", "state",      "family", "student", "group",
    "country",  "problem", "hand",     "part",   "place",      "case",   "week",    "company",
    "system",   "program", "question", "work",   "government", "number", "night",   "point",
    "home",     "water",   "room",     "mother", "area",       "money",  "story",   "fact",
    "month",    "lot",     "right",    "study",  "book",       "eye",    "job",     "word",
    "business", "issue",   "side",     "kind",   "head",       "house",  "service", "friend",
    "father",   "power",   "hour",     "game",   "line",       "end",    "member",  "law"};

// Without better knowledge: ids that nearly every vocabulary has as ordinary text.
constexpr std::int32_t kFirstId = 10;
constexpr std::int32_t kLastId = 200;

constexpr std::int64_t kFewWords = 8;
constexpr std::int64_t kManyWords = 72;

/// The base URL with the /v1 that users give or leave out.
std::string WithVersion(std::string url) {
  while (!url.empty() && url.back() == '/') url.pop_back();
  return absl::EndsWith(url, "/v1") ? url : url + "/v1";
}

/// Models and sizes as the server lists them.
struct Listing {
  std::string model;
  std::int64_t vocabulary = 0;  ///< 0 = it does not say.
};

absl::Status NoApi(const BenchTarget& target, const absl::Status& why) {
  if (absl::IsCancelled(why)) return why;
  return absl::Status(
      why.code(),
      absl::StrCat(target.base_url, " serves no OpenAI-compatible API: ", why.message()));
}

absl::StatusOr<Listing> ReadListing(const Json& answer) {
  const auto data = answer.find("data");
  if (data == answer.end() || !data->is_array() || data->empty() || !data->front().is_object()) {
    return absl::NotFoundError("GET /models lists no model");
  }
  const Json& first = data->front();
  Listing listing;
  if (const auto id = first.find("id"); id != first.end() && id->is_string()) {
    listing.model = id->get<std::string>();
  }
  // As llama-server says it.
  if (const auto meta = first.find("meta"); meta != first.end() && meta->is_object()) {
    const auto vocabulary = meta->find("n_vocab");
    if (vocabulary != meta->end() && vocabulary->is_number_integer()) {
      listing.vocabulary = vocabulary->get<std::int64_t>();
    }
  }
  return listing;
}

/// Tries requests on a server.
class Prober {
 public:
  Prober(const http::Client& client, BenchTarget& target) : client_(client), target_(target) {}

  absl::StatusOr<Listing> Models() const {
    MOESAIC_ASSIGN_OR_RETURN(const http::Response response,
                             client_.Get("/models", target_.headers));
    MOESAIC_ASSIGN_OR_RETURN(const Json answer, ParseAnswer(response));
    return ReadListing(answer);
  }

  /// Whether a list of ids is taken for a prompt.
  absl::Status TryIds() const {
    return Ask(Json::array({target_.first_id, target_.first_id + 1, target_.last_id})).status();
  }

  /// Learns what a word costs.
  absl::Status MeasureWords() {
    MOESAIC_ASSIGN_OR_RETURN(const double few, Ask(RandomWords(kFewWords, 1)));
    MOESAIC_ASSIGN_OR_RETURN(const double many, Ask(RandomWords(kManyWords, 2)));
    if (many <= few) return absl::OkStatus();  // it counts nothing: a word is taken for a token
    target_.tokens_per_word = (many - few) / (kManyWords - kFewWords);
    target_.extra_tokens = std::max(0.0, few - target_.tokens_per_word * kFewWords);
    return absl::OkStatus();
  }

 private:
  /// Tokens of the prompt; 0 when the answer does not say.
  absl::StatusOr<double> Ask(Json prompt) const {
    Json body = {{"model", target_.model}, {"max_tokens", 1}, {"temperature", 0}};
    if (target_.chat) {
      body["messages"] = Json::array({{{"role", "user"}, {"content", std::move(prompt)}}});
    } else {
      body["prompt"] = std::move(prompt);
    }
    MOESAIC_ASSIGN_OR_RETURN(const http::Response response,
                             client_.Post(target_.path(), body.dump(), target_.headers));
    MOESAIC_ASSIGN_OR_RETURN(const Json answer, ParseAnswer(response));
    if (!answer.contains("choices")) return absl::InternalError("the answer has no choices");
    const auto usage = answer.find("usage");
    if (usage == answer.end() || !usage->is_object()) return 0;
    const auto tokens = usage->find("prompt_tokens");
    return tokens != usage->end() && tokens->is_number() ? tokens->get<double>() : 0;
  }

  const http::Client& client_;
  BenchTarget& target_;
};

absl::Status ReadIdRange(const std::string& text, BenchTarget& target) {
  const std::vector<std::string> parts = absl::StrSplit(text, '-');
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &target.first_id) ||
      !absl::SimpleAtoi(parts[1], &target.last_id) || target.first_id < 0 ||
      target.last_id <= target.first_id) {
    return absl::InvalidArgumentError(
        absl::StrCat("--token-ids is FIRST-LAST, as 100-31999, not '", text, "'"));
  }
  return absl::OkStatus();
}

absl::Status ChooseIds(const TargetOptions& options, const Listing& listing, BenchTarget& target) {
  if (!options.token_ids.empty()) return ReadIdRange(options.token_ids, target);
  target.first_id = kFirstId;
  target.last_id = kLastId;
  // The first ids are often control tokens, and bytes.
  const std::int64_t last = std::min<std::int64_t>(listing.vocabulary - 1, INT32_MAX);
  if (last > kLastId) target.last_id = static_cast<std::int32_t>(last);
  if (last > 10 * kLastId) target.first_id = 300;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<http::Header>> Authorization(const std::string& key) {
  if (key.empty()) return std::vector<http::Header>();
  if (!std::all_of(key.begin(), key.end(), absl::ascii_isgraph)) {
    return absl::InvalidArgumentError("the API key has characters that no header may have");
  }
  return std::vector<http::Header>{{"Authorization", "Bearer " + key}};
}

}  // namespace

absl::StatusOr<BenchTarget> FindTarget(const TargetOptions& options) {
  BenchTarget target{
      .base_url = WithVersion(options.url), .model = options.model, .chat = options.chat};
  MOESAIC_ASSIGN_OR_RETURN(target.headers, Authorization(options.api_key));
  MOESAIC_ASSIGN_OR_RETURN(
      const http::Client client,
      http::Client::Create(target.base_url, {.read_timeout = options.timeout,
                                             .max_response_bytes = 16 << 20,
                                             .interrupt_fd = options.interrupt_fd}));
  Prober prober(client, target);
  absl::StatusOr<Listing> listing = prober.Models();
  if (target.model.empty()) {
    if (!listing.ok()) return NoApi(target, listing.status());
    target.model = listing->model;
  }
  MOESAIC_RETURN_IF_ERROR(ChooseIds(options, listing.ok() ? *listing : Listing(), target));
  if (!options.chat && options.prompt_form != "text") {
    const absl::Status taken = prober.TryIds();
    if (taken.ok()) {
      target.form = PromptForm::kIds;
      return target;
    }
    if (options.prompt_form == "ids" || absl::IsUnavailable(listing.status())) {
      return NoApi(target, taken);
    }
  }
  if (absl::Status measured = prober.MeasureWords(); !measured.ok()) {
    return NoApi(target, measured);
  }
  return target;
}

std::string RandomWords(std::int64_t words, std::uint64_t seed) {
  Random random(seed, 0);
  std::string text;
  for (std::int64_t i = 0; i < words; ++i) {
    if (i > 0) text += ' ';
    text += kWords[random.Next() % kWords.size()];
  }
  return text;
}

}  // namespace moesaic::services
