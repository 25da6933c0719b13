#include "router/api/generation_fields.h"

#include <cstring>
#include <limits>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "router/api/fields.h"

namespace moesaic::router {
namespace {

constexpr int kMaxInt = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kMaxStops = 4;         // OpenAI's limit
constexpr std::size_t kMaxStopBytes = 4096;  // bounds the text held back while streaming
constexpr std::size_t kMaxStopTokenIds = 1024;

absl::Status ReadStop(const Json& value, std::vector<std::string>& out) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat("must be a string or a list of at most ", kMaxStops,
                                              " strings, each of 1 to ", kMaxStopBytes, " bytes"));
  const Json list = value.is_string() ? Json::array({value}) : value;
  if (!list.is_array() || list.size() > kMaxStops) return bad;
  for (const Json& item : list) {
    if (!item.is_string()) return bad;
    out.push_back(item.get<std::string>());
    if (out.back().empty() || out.back().size() > kMaxStopBytes) return bad;
  }
  return absl::OkStatus();
}

absl::Status ReadLogitBias(const Json& value, std::vector<std::pair<std::int32_t, float>>& out) {
  const absl::Status bad = absl::InvalidArgumentError(
      "must be an object of token ids with numbers between -100 and 100");
  if (!value.is_object()) return bad;
  for (const auto& [key, bias] : value.items()) {
    std::int32_t id = 0;
    float number = 0;
    if (!absl::SimpleAtoi(key, &id) || id < 0 || !ReadFloat(bias, -100, 100, number).ok()) {
      return bad;
    }
    out.emplace_back(id, number);
  }
  return absl::OkStatus();
}

absl::Status ReadStreamOptions(const Json& value, GenerationFields& fields) {
  if (!value.is_object()) return absl::InvalidArgumentError("must be an object");
  fields.include_usage = false;
  const auto include_usage = value.find("include_usage");
  if (include_usage == value.end() || include_usage->is_null()) return absl::OkStatus();
  if (!ReadBool(*include_usage, *fields.include_usage).ok()) {
    return absl::InvalidArgumentError("must have true or false as include_usage");
  }
  return absl::OkStatus();
}

absl::Status ReadSeed(const Json& value, std::optional<std::uint64_t>& out) {
  if (value.is_number_unsigned()) {
    out = value.get<std::uint64_t>();
    return absl::OkStatus();
  }
  std::int64_t seed = 0;
  MOESAIC_RETURN_IF_ERROR(ReadInteger(value, std::numeric_limits<std::int64_t>::min(),
                                      std::numeric_limits<std::int64_t>::max(), seed));
  out = static_cast<std::uint64_t>(seed);
  return absl::OkStatus();
}

absl::Status ReadReplay(const Json& value, std::vector<std::int32_t>& out) {
  const absl::Status bad =
      absl::InvalidArgumentError("must be base64 of little-endian int32 numbers");
  std::string bytes;
  if (!value.is_string() || !absl::Base64Unescape(value.get<std::string>(), &bytes) ||
      bytes.size() % sizeof(std::int32_t) != 0) {
    return bad;
  }
  out.resize(bytes.size() / sizeof(std::int32_t));
  if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
  return absl::OkStatus();
}

/// top_p: the smallest set of tokens that reaches 0 is no set.
absl::Status ReadTopP(const Json& value, GenerationFields& fields) {
  const absl::Status status = ReadFloat(value, 0, 1, fields.top_p);
  if (!status.ok() || *fields.top_p > 0) return status;
  return absl::InvalidArgumentError("must be greater than 0 and at most 1");
}

absl::Status ReadRepetitionPenalty(const Json& value, GenerationFields& fields) {
  const absl::Status status = ReadFloat(value, 0, 10, fields.repetition_penalty);
  if (!status.ok() || *fields.repetition_penalty > 0) return status;
  return absl::InvalidArgumentError("must be greater than 0 and at most 10");
}

absl::Status ReadNeutral(const Json& value, GenerationFields&) {
  return UnsupportedUnlessNeutral(value);
}

using G = GenerationFields;
constexpr Field<G> kGenerationFields[] = {
    {"model", [](const Json& v, G& f) { return ReadString(v, f.model); }},
    {"n", [](const Json& v, G& f) { return ReadInt(v, 1, 128, f.n); }},
    {"stream", [](const Json& v, G& f) { return ReadBool(v, f.stream); }},
    {"stream_options", ReadStreamOptions},
    {"max_tokens", [](const Json& v, G& f) { return ReadInt(v, 0, kMaxInt, f.max_tokens); }},
    {"min_tokens", [](const Json& v, G& f) { return ReadInt(v, 0, kMaxInt, f.min_tokens); }},
    {"stop", [](const Json& v, G& f) { return ReadStop(v, f.stop); }},
    {"stop_token_ids",
     [](const Json& v, G& f) { return ReadTokenIds(v, kMaxStopTokenIds, f.stop_token_ids); }},
    {"ignore_eos", [](const Json& v, G& f) { return ReadBool(v, f.ignore_eos); }},
    {"temperature", [](const Json& v, G& f) { return ReadFloat(v, 0, 2, f.temperature); }},
    {"top_p", ReadTopP},
    // -1 is vLLM's older way to say all.
    {"top_k", [](const Json& v, G& f) { return ReadInt(v, -1, kMaxInt, f.top_k); }},
    {"min_p", [](const Json& v, G& f) { return ReadFloat(v, 0, 1, f.min_p); }},
    {"repetition_penalty", ReadRepetitionPenalty},
    {"presence_penalty",
     [](const Json& v, G& f) { return ReadFloat(v, -2, 2, f.presence_penalty); }},
    {"frequency_penalty",
     [](const Json& v, G& f) { return ReadFloat(v, -2, 2, f.frequency_penalty); }},
    {"seed", [](const Json& v, G& f) { return ReadSeed(v, f.seed); }},
    {"logit_bias", [](const Json& v, G& f) { return ReadLogitBias(v, f.logit_bias); }},
    {"return_token_ids", [](const Json& v, G& f) { return ReadBool(v, f.return_token_ids); }},
    {"return_routed_experts",
     [](const Json& v, G& f) { return ReadBool(v, f.return_routed_experts); }},
    {"stream_routed_experts",
     [](const Json& v, G& f) { return ReadBool(v, f.stream_routed_experts); }},
    {"replay_routed_experts",
     [](const Json& v, G& f) { return ReadReplay(v, f.replay_routed_experts); }},
    {"user", [](const Json& v, G& f) { return ReadString(v, f.user); }},
    {"priority", ReadNeutral},
};

}  // namespace

absl::Status ReadGenerationField(std::string_view name, const Json& value, GenerationFields& fields,
                                 bool& known) {
  return ReadField<GenerationFields>(kGenerationFields, name, value, fields, known);
}

absl::Status CheckGenerationFields(const GenerationFields& fields) {
  if (fields.include_usage && !fields.stream) {
    return NameField(absl::InvalidArgumentError("is only allowed when 'stream' is true"),
                     "stream_options");
  }
  if (fields.max_tokens && fields.min_tokens > *fields.max_tokens) {
    return NameField(absl::InvalidArgumentError("must not be greater than 'max_tokens'"),
                     "min_tokens");
  }
  // A stop text ends a generation from outside, before its routing is reported.
  if (fields.return_routed_experts && !fields.stop.empty()) {
    return NameField(absl::InvalidArgumentError("cannot be combined with 'stop'"),
                     "return_routed_experts");
  }
  if (fields.stream_routed_experts && !fields.stream) {
    return NameField(absl::InvalidArgumentError("is only allowed when 'stream' is true"),
                     "stream_routed_experts");
  }
  if (fields.stream_routed_experts && fields.return_routed_experts) {
    return NameField(absl::InvalidArgumentError("cannot be combined with 'return_routed_experts'"),
                     "stream_routed_experts");
  }
  return absl::OkStatus();
}

}  // namespace moesaic::router
