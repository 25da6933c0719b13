#include "monitoring/ledger/ledger_row.h"

#include <cmath>
#include <nlohmann/json.hpp>

namespace moesaic::monitoring {
namespace {

using Json = nlohmann::json;

std::string Clean(const std::string& text) {
  std::string clean = text;
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return clean;
}

double Finite(double value) { return std::isfinite(value) ? value : 0; }

/// Writes fields into an object; a Reader has the same interface, so that each field stands once.
struct Writer {
  Json json = Json::object();
  void operator()(const char* key, const std::string& value) { json[key] = Clean(value); }
  void operator()(const char* key, std::int64_t value) { json[key] = value; }
  void operator()(const char* key, double value) { json[key] = Finite(value); }
  void operator()(const char* key, const std::optional<double>& value) {
    if (value) json[key] = Finite(*value);
  }
  void operator()(const char* key, absl::Time value) { json[key] = absl::ToUnixMicros(value); }
  void operator()(const char* key, RequestOutcome value) { json[key] = RequestOutcomeName(value); }
};

struct Reader {
  const Json& json;
  const Json* Find(const char* key) const {
    const auto found = json.find(key);
    return found != json.end() ? &*found : nullptr;
  }
  void operator()(const char* key, std::string& value) {
    const Json* at = Find(key);
    if (at != nullptr && at->is_string()) value = at->get<std::string>();
  }
  void operator()(const char* key, std::int64_t& value) {
    const Json* at = Find(key);
    if (at != nullptr && at->is_number_integer()) value = at->get<std::int64_t>();
  }
  void operator()(const char* key, double& value) {
    const Json* at = Find(key);
    if (at != nullptr && at->is_number()) value = at->get<double>();
  }
  void operator()(const char* key, std::optional<double>& value) {
    const Json* at = Find(key);
    if (at != nullptr && at->is_number()) value = at->get<double>();
  }
  void operator()(const char* key, absl::Time& value) {
    std::int64_t micros = 0;
    (*this)(key, micros);
    value = absl::FromUnixMicros(micros);
  }
  void operator()(const char* key, RequestOutcome& value) {
    std::string name;
    (*this)(key, name);
    value = RequestOutcome::kFailed;
    for (const RequestOutcome outcome : {RequestOutcome::kOk, RequestOutcome::kCancelled,
                                         RequestOutcome::kDeadline, RequestOutcome::kRefused}) {
      if (name == RequestOutcomeName(outcome)) value = outcome;
    }
  }
};

template <typename Fields, typename Record>
void VisitUsage(Fields& field, Record& record) {
  field("id", record.id);
  field("trace_id", record.trace_id);
  field("tenant", record.tenant);
  field("model", record.model);
  field("router", record.router);
  field("endpoint", record.endpoint);
  field("started_us", record.started);
  field("finished_us", record.finished);
  field("outcome", record.outcome);
  field("prompt_tokens", record.prompt_tokens);
  field("cached_prompt_tokens", record.cached_prompt_tokens);
  field("generated_tokens", record.generated_tokens);
  field("queue_seconds", record.queue_seconds);
  field("prefill_seconds", record.prefill_seconds);
  field("decode_seconds", record.decode_seconds);
  field("first_token_seconds", record.first_token_seconds);
  field("prefill_router_seconds", record.prefill.router_seconds);
  field("prefill_shard_seconds", record.prefill.shard_seconds);
  field("prefill_cost", record.prefill.cost);
  field("prefill_unpriced_seconds", record.prefill.unpriced_seconds);
  field("decode_router_seconds", record.decode.router_seconds);
  field("decode_shard_seconds", record.decode.shard_seconds);
  field("decode_cost", record.decode.cost);
  field("decode_unpriced_seconds", record.decode.unpriced_seconds);
  field("currency", record.currency);
}

template <typename Fields, typename Record>
void VisitNodeTime(Fields& field, Record& record) {
  field("id", record.id);
  field("process", record.process);
  field("role", record.role);
  field("node", record.node);
  field("node_type", record.share.price_class);
  field("capacity_type", record.share.capacity_type);
  field("node_share", record.share.share);
  field("start_us", record.start);
  field("end_us", record.end);
  field("alive_seconds", record.alive_seconds);
  field("busy_seconds", record.busy_seconds);
  field("cost", record.cost);
  field("currency", record.currency);
}

}  // namespace

std::string EncodeRow(const LedgerRow& row) {
  Writer writer;
  if (const auto* usage = std::get_if<UsageRecord>(&row)) {
    writer.json["row"] = "usage";
    VisitUsage(writer, *usage);
  } else {
    writer.json["row"] = "node_time";
    VisitNodeTime(writer, std::get<NodeTime>(row));
  }
  return writer.json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<LedgerRow> DecodeRow(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Reader reader{json};
  std::string kind;
  reader("row", kind);
  if (kind == "usage") {
    UsageRecord record;
    VisitUsage(reader, record);
    if (!record.id.empty()) return record;
  } else if (kind == "node_time") {
    NodeTime record;
    VisitNodeTime(reader, record);
    if (!record.id.empty()) return record;
  }
  return std::nullopt;
}

}  // namespace moesaic::monitoring
