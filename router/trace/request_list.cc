#include "router/trace/request_list.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/strings.h"

namespace moesaic::router {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxLimit = 1000;

absl::Status SetCount(absl::string_view name, absl::string_view value, int& to) {
  if (absl::SimpleAtoi(value, &to) && to >= 1 && to <= kMaxLimit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, " must be 1 to ", kMaxLimit));
}

absl::Status SetMillis(absl::string_view name, absl::string_view value, double& seconds) {
  double ms = 0;
  if (!absl::SimpleAtod(value, &ms) || !(ms >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(name, " must be milliseconds"));
  }
  seconds = ms / 1e3;
  return absl::OkStatus();
}

absl::Status SetParameter(absl::string_view name, absl::string_view value, RequestQuery& query) {
  if (name == "slowest" || name == "slowest_ttft") {
    query.order =
        name == "slowest" ? RequestQuery::Order::kDuration : RequestQuery::Order::kFirstToken;
    return SetCount(name, value, query.limit);
  }
  if (name == "limit") return SetCount(name, value, query.limit);
  if (name == "min_ms") return SetMillis(name, value, query.min_duration_seconds);
  if (name == "min_ttft_ms") return SetMillis(name, value, query.min_first_token_seconds);
  if (name == "tenant") {
    query.tenant = std::string(value);
    return absl::OkStatus();
  }
  if (name == "outcome") {
    query.outcome = std::string(value);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown parameter '", name,
                   "'; known are slowest, slowest_ttft, limit, min_ms, min_ttft_ms, tenant and "
                   "outcome"));
}

/// What is listed of one request.
struct Row {
  const TracedRequest* request;
  std::optional<monitoring::UsageRecord> usage;
  double duration_seconds = 0;
  double first_token_seconds = 0;

  std::string_view outcome() const {
    return usage ? monitoring::RequestOutcomeName(usage->outcome) : "running";
  }
};

bool Matches(const Row& row, const RequestQuery& query) {
  return row.duration_seconds >= query.min_duration_seconds &&
         row.first_token_seconds >= query.min_first_token_seconds &&
         (query.tenant.empty() || row.request->tenant == query.tenant) &&
         (query.outcome.empty() || row.outcome() == query.outcome);
}

Json Milliseconds(double seconds) { return std::llround(seconds * 1e6) / 1e3; }

Json ToJson(const Row& row) {
  Json json = {
      {"request_id", row.request->request_id},
      {"trace_id", monitoring::TraceIdText(row.request->context.trace_id)},
      {"started", absl::FormatTime(absl::RFC3339_full, row.request->started, absl::UTCTimeZone())},
      {"tenant", row.request->tenant},
      {"endpoint", row.request->endpoint},
      {"outcome", row.outcome()},
      {"duration_ms", Milliseconds(row.duration_seconds)}};
  if (!row.usage) return json;
  if (row.usage->first_token_seconds) {
    json["ttft_ms"] = Milliseconds(*row.usage->first_token_seconds);
  }
  json["queue_ms"] = Milliseconds(row.usage->queue_seconds);
  json["prefill_ms"] = Milliseconds(row.usage->prefill_seconds);
  json["decode_ms"] = Milliseconds(row.usage->decode_seconds);
  json["prompt_tokens"] = row.usage->prompt_tokens;
  json["generated_tokens"] = row.usage->generated_tokens;
  return json;
}

}  // namespace

absl::StatusOr<RequestQuery> ParseRequestQuery(std::string_view text) {
  RequestQuery query;
  for (const absl::string_view part : absl::StrSplit(base::ToAbsl(text), '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(part, absl::MaxSplits('=', 1));
    MOESAIC_RETURN_IF_ERROR(SetParameter(parameter.first, parameter.second, query));
  }
  return query;
}

std::string RequestList(const TraceStore& store, const RequestQuery& query, absl::Duration now) {
  const auto traces = store.List();
  std::vector<Row> rows;
  for (const auto& trace : traces) {
    Row row{&trace->request(), trace->usage()};
    row.duration_seconds = row.usage
                               ? absl::ToDoubleSeconds(row.usage->finished - row.usage->started)
                               : absl::ToDoubleSeconds(now - row.request->arrived);
    if (row.usage) row.first_token_seconds = row.usage->first_token_seconds.value_or(0);
    if (Matches(row, query)) rows.push_back(std::move(row));
  }
  const auto by = [&rows](double Row::*value) {
    std::stable_sort(rows.begin(), rows.end(),
                     [value](const Row& a, const Row& b) { return a.*value > b.*value; });
  };
  if (query.order == RequestQuery::Order::kDuration) by(&Row::duration_seconds);
  if (query.order == RequestQuery::Order::kFirstToken) by(&Row::first_token_seconds);
  if (rows.size() > static_cast<std::size_t>(query.limit)) rows.resize(query.limit);
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(ToJson(row));
  return Json({{"requests", std::move(list)}}).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace moesaic::router
