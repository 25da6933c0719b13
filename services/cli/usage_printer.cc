#include "services/cli/usage_printer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

namespace moesaic::services {
namespace {

using monitoring::Money;
using monitoring::Reconciliation;
using monitoring::UsageKey;
using monitoring::UsageLine;
using monitoring::UsageReport;
using monitoring::UsageSum;
using OrderedJson = nlohmann::ordered_json;

/// Enough for what one request costs; sums stay readable.
std::string Number(double value) { return absl::StrFormat("%.10g", value); }

Money CostOf(const UsageLine& line, double cost) { return line.unpriced ? Money() : Money(cost); }

/// The keys' names and values, in the order in which reports are sorted.
std::vector<std::pair<const char*, std::string>> KeyColumns(const UsageSum& sum,
                                                            const std::set<UsageKey>& keys) {
  std::vector<std::pair<const char*, std::string>> columns;
  if (keys.contains(UsageKey::kDay)) columns.emplace_back("day", sum.day);
  if (keys.contains(UsageKey::kTenant)) columns.emplace_back("tenant", sum.tenant);
  if (keys.contains(UsageKey::kModel)) columns.emplace_back("model", sum.model);
  return columns;
}

OrderedJson ToJson(const Money& money) {
  return money ? OrderedJson(*money) : OrderedJson(nullptr);
}

/// Every figure of a line: what JSON and CSV print.
OrderedJson LineJson(const UsageLine& line, const std::set<UsageKey>& keys) {
  OrderedJson json = OrderedJson::object();
  for (const auto& [name, value] : KeyColumns(line.sum, keys)) json[name] = value;
  json["requests"] = line.sum.requests;
  json["not_ok"] = line.sum.failed;
  json["prompt_tokens"] = line.sum.prompt_tokens;
  json["cached_prompt_tokens"] = line.sum.cached_prompt_tokens;
  json["generated_tokens"] = line.sum.generated_tokens;
  json["prefill_machine_seconds"] = line.sum.prefill_machine_seconds;
  json["decode_machine_seconds"] = line.sum.decode_machine_seconds;
  json["unpriced_seconds"] = line.sum.unpriced_seconds;
  json["currency"] = line.sum.currency;
  json["direct_cost"] = ToJson(CostOf(line, line.direct_cost));
  json["idle_cost"] = ToJson(CostOf(line, line.idle_cost));
  json["cost"] = ToJson(CostOf(line, line.full_cost()));
  json["per_million_input"] = ToJson(line.per_million.input);
  json["per_million_output"] = ToJson(line.per_million.output);
  json["per_million_blended"] = ToJson(line.per_million.blended);
  return json;
}

std::string Quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

std::string CsvCell(const OrderedJson& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return Quoted(value.get<std::string>());
  return value.is_number_integer() ? absl::StrCat(value.get<std::int64_t>())
                                   : Number(value.get<double>());
}

/// Rows with the same keys, as CSV; the header alone when there are none.
std::string Csv(const OrderedJson& header_of, const std::vector<OrderedJson>& rows) {
  std::vector<std::string> names;
  for (const auto& [name, value] : header_of.items()) names.push_back(name);
  std::string text = absl::StrJoin(names, ",") + "\n";
  for (const OrderedJson& row : rows) {
    std::vector<std::string> cells;
    for (const OrderedJson& value : row) cells.push_back(CsvCell(value));
    absl::StrAppend(&text, absl::StrJoin(cells, ","), "\n");
  }
  return text;
}

std::string Shown(const Money& money) {
  return money ? absl::StrFormat("%.4g", *money) : "unknown";
}

double Unallocated(const Reconciliation& total) {
  double sum = 0;
  for (const auto& [day, cost] : total.unallocated) sum += cost;
  return sum;
}

std::string Totals(const UsageReport& report) {
  std::string text;
  for (const Reconciliation& total : report.totals) {
    if (total.unpriced_node_seconds > 0) {
      absl::StrAppend(&text, absl::StrFormat("nodes without a known price: %.1f hours\n",
                                             total.unpriced_node_seconds / 3600));
    }
    if (total.node_cost <= 0) continue;
    absl::StrAppend(
        &text,
        absl::StrFormat("nodes cost %s %s: requests %s, idle %s, not explained %s (%.2f %%)\n",
                        Shown(total.node_cost), total.currency, Shown(total.direct_cost),
                        Shown(total.idle_cost), Shown(total.difference()),
                        100 * total.difference() / total.node_cost));
    if (!total.unallocated.empty()) {
      absl::StrAppend(&text, "of that on days without requests, in no line above: ",
                      Shown(Unallocated(total)), "\n");
    }
  }
  return text;
}

std::string FocusTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

/// A FOCUS row of one day. Tenant and model may be empty: the row is nobody's.
OrderedJson FocusRow(absl::CivilDay day, const UsageLine& line) {
  const absl::CivilMonth month(day);
  const UsageSum& sum = line.sum;
  const OrderedJson cost = ToJson(CostOf(line, line.full_cost()));
  const OrderedJson tokens = sum.prompt_tokens + sum.generated_tokens;
  const bool idle = sum.requests == 0;
  const auto or_null = [](const std::string& text) {
    return text.empty() ? OrderedJson() : OrderedJson(text);
  };
  OrderedJson tags = OrderedJson::object();
  if (!sum.tenant.empty()) tags["tenant"] = sum.tenant;
  if (!sum.model.empty()) tags["model"] = sum.model;
  return {{"BilledCost", cost},
          {"BillingAccountId", "moesaic"},
          {"BillingAccountName", "Moesaic"},
          {"BillingCurrency", or_null(sum.currency)},
          {"BillingPeriodEnd", FocusTime(absl::FromCivil(month + 1, absl::UTCTimeZone()))},
          {"BillingPeriodStart", FocusTime(absl::FromCivil(month, absl::UTCTimeZone()))},
          {"ChargeCategory", "Usage"},
          {"ChargeClass", OrderedJson()},
          {"ChargeDescription",
           idle ? "Nodes on a day without requests" : absl::StrCat("Inference of ", sum.model)},
          {"ChargeFrequency", "Usage-Based"},
          {"ChargePeriodEnd", FocusTime(absl::FromCivil(day + 1, absl::UTCTimeZone()))},
          {"ChargePeriodStart", FocusTime(absl::FromCivil(day, absl::UTCTimeZone()))},
          {"ConsumedQuantity", idle ? OrderedJson() : tokens},
          {"ConsumedUnit", idle ? OrderedJson() : OrderedJson("tokens")},
          {"ContractedCost", cost},
          {"EffectiveCost", cost},
          {"InvoiceIssuerName", "Moesaic"},
          {"ListCost", cost},
          {"PricingQuantity", idle ? OrderedJson() : tokens},
          {"PricingUnit", idle ? OrderedJson() : OrderedJson("tokens")},
          {"ProviderName", "Moesaic"},
          {"PublisherName", "Moesaic"},
          {"ResourceId", or_null(sum.model)},
          {"ResourceType", idle ? "Node" : "Model"},
          {"ServiceCategory", "AI and Machine Learning"},
          {"ServiceName", "Moesaic"},
          {"SubAccountId", or_null(sum.tenant)},
          {"SubAccountName", or_null(sum.tenant)},
          {"Tags", tags.dump()},
          {"x_CachedPromptTokens", sum.cached_prompt_tokens},
          {"x_DirectCost", ToJson(CostOf(line, line.direct_cost))},
          {"x_GeneratedTokens", sum.generated_tokens},
          {"x_IdleCost", ToJson(CostOf(line, line.idle_cost))},
          {"x_PromptTokens", sum.prompt_tokens},
          {"x_Requests", sum.requests},
          {"x_UnpricedSeconds", sum.unpriced_seconds}};
}

}  // namespace

std::string UsageTable(const UsageReport& report, const std::set<UsageKey>& keys) {
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [name, value] : KeyColumns({}, keys)) rows[0].push_back(name);
  for (const char* name : {"requests", "not ok", "prompt", "cached", "generated", "direct",
                           "+ idle", "cost", "", "$/M in", "$/M out", "$/M"}) {
    rows[0].push_back(name);
  }
  for (const UsageLine& line : report.lines) {
    std::vector<std::string>& row = rows.emplace_back();
    for (const auto& [name, value] : KeyColumns(line.sum, keys)) row.push_back(value);
    for (const std::int64_t count : {line.sum.requests, line.sum.failed, line.sum.prompt_tokens,
                                     line.sum.cached_prompt_tokens, line.sum.generated_tokens}) {
      row.push_back(absl::StrCat(count));
    }
    for (const double cost : {line.direct_cost, line.idle_cost, line.full_cost()}) {
      row.push_back(Shown(CostOf(line, cost)));
    }
    row.push_back(line.sum.currency);
    for (const Money& price :
         {line.per_million.input, line.per_million.output, line.per_million.blended}) {
      row.push_back(price ? Shown(price) : "-");
    }
  }
  std::vector<std::size_t> widths(rows[0].size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      // Names to the left, figures to the right.
      const int width = static_cast<int>(widths[i]);
      absl::StrAppend(&text, i == 0 ? "" : "  ",
                      absl::StrFormat("%*s", i < keys.size() ? -width : width, row[i]));
    }
    absl::StrAppend(&text, "\n");
  }
  return absl::StrCat(text, Totals(report));
}

std::string UsageCsv(const UsageReport& report, const std::set<UsageKey>& keys) {
  std::vector<OrderedJson> rows;
  for (const UsageLine& line : report.lines) rows.push_back(LineJson(line, keys));
  return Csv(LineJson({}, keys), rows);
}

std::string UsageJson(const UsageReport& report, const std::set<UsageKey>& keys) {
  OrderedJson root = {{"lines", OrderedJson::array()}, {"totals", OrderedJson::array()}};
  for (const UsageLine& line : report.lines) root["lines"].push_back(LineJson(line, keys));
  for (const Reconciliation& total : report.totals) {
    root["totals"].push_back({{"currency", total.currency},
                              {"node_cost", total.node_cost},
                              {"direct_cost", total.direct_cost},
                              {"idle_cost", total.idle_cost},
                              {"difference", total.difference()},
                              {"unallocated", Unallocated(total)},
                              {"unpriced_node_seconds", total.unpriced_node_seconds}});
  }
  return root.dump(2) + "\n";
}

std::string UsageFocus(const UsageReport& report) {
  std::vector<OrderedJson> rows;
  const auto add = [&rows](const std::string& name, const UsageLine& line) {
    absl::CivilDay day;
    if (absl::ParseCivilTime(name, &day)) rows.push_back(FocusRow(day, line));
  };
  for (const UsageLine& line : report.lines) add(line.sum.day, line);
  for (const Reconciliation& total : report.totals) {
    for (const auto& [day, cost] : total.unallocated) {
      UsageLine line;
      line.sum.currency = total.currency;
      line.idle_cost = cost;
      add(day, line);
    }
  }
  return Csv(FocusRow({}, {}), rows);
}

}  // namespace moesaic::services
