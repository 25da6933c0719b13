#include "monitoring/ledger/ledger_row.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "monitoring/ledger/ledger_fields.h"

namespace moesaic::monitoring {
namespace {

using Json = nlohmann::json;

// Which record a row is.
constexpr char kUsage[] = "usage";
constexpr char kNodeTime[] = "node_time";

std::string Clean(const std::string& text) {
  std::string clean = text;
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return clean;
}

double Finite(double value) { return std::isfinite(value) ? value : 0; }

/// Takes the fields of a record into an object.
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

/// Fills the fields of a record from an object.
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

template <typename Record>
std::optional<LedgerRow> Read(Reader& reader) {
  Record record;
  VisitFields(reader, record);
  if (record.id.empty()) return std::nullopt;
  return record;
}

}  // namespace

std::string EncodeRow(const LedgerRow& row) {
  Writer writer;
  writer.json["row"] = std::holds_alternative<UsageRecord>(row) ? kUsage : kNodeTime;
  std::visit([&writer](const auto& record) { VisitFields(writer, record); }, row);
  return writer.json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<LedgerRow> DecodeRow(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  Reader reader{json};
  std::string kind;
  reader("row", kind);
  if (kind == kUsage) return Read<UsageRecord>(reader);
  if (kind == kNodeTime) return Read<NodeTime>(reader);
  return std::nullopt;
}

}  // namespace moesaic::monitoring
