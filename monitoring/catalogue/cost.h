#pragma once

#include "monitoring/catalogue/metric_def.h"

namespace moesaic::monitoring::metrics {

// What it costs. No series where a price is unknown: unknown is not 0.
inline constexpr GaugeDef kNodeCostUsdPerHour{
    {"moesaic_node_cost_usd_per_hour",
     "Price of the nodes in use, each counted once, by role, node type and capacity type "
     "(on_demand, spot). In the currency of the price list.",
     {"role", "node_type", "capacity_type"}}};
inline constexpr GaugeDef kNodeCostOnDemandUsdPerHour{{"moesaic_node_cost_on_demand_usd_per_hour",
                                                       "What the same nodes would cost on demand.",
                                                       {"role", "node_type"}}};
inline constexpr GaugeDef kNodes{
    {"moesaic_nodes",
     "Nodes in use, in node shares, by role, node type and capacity type.",
     {"role", "node_type", "capacity_type"}}};
inline constexpr GaugeDef kNodesWithoutPrice{
    {"moesaic_nodes_without_price", "Nodes whose type is not in the price list."}};
inline constexpr CounterDef kCostUsdTotal{{"moesaic_cost_usd_total",
                                           "Cost of the machine seconds that requests used, by "
                                           "phase (prefill, decode), without idle time.",
                                           {"phase"}}};
inline constexpr CounterDef kTenantCostUsdTotal{
    {"moesaic_tenant_cost_usd_total", "The same by tenant.", {"tenant"}}};
inline constexpr CounterDef kTenantWorkSecondsTotal{
    {"moesaic_tenant_work_seconds_total",
     "Machine seconds that requests used, by tenant and phase.",
     {"tenant", "phase"}}};
inline constexpr CounterDef kUnpricedWorkSecondsTotal{
    {"moesaic_unpriced_work_seconds_total",
     "Machine seconds of requests on nodes without a price."}};
inline constexpr GaugeDef kBudgetUsdPerMonth{
    {"moesaic_budget_usd_per_month",
     "What is meant to be spent a month (--budget-per-month). No series when nothing was said."}};
inline constexpr GaugeDef kLedgerQueueRecords{
    {"moesaic_ledger_queue_records", "Usage records not yet in the database."}};
inline constexpr CounterDef kLedgerRecordsTotal{
    {"moesaic_ledger_records_total",
     "Usage records by what became of them (queued, stored, dropped).",
     {"outcome"}}};
inline constexpr CounterDef kLedgerErrorsTotal{
    {"moesaic_ledger_errors_total", "Failed attempts to reach or write the database."}};

}  // namespace moesaic::monitoring::metrics
